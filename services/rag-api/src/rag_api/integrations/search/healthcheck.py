"""GET /healthcheck."""

from typing import Literal

from fastapi import APIRouter, Response
from mh_common.web.access import PUBLIC
from mh_common.web.health import readiness
from pydantic import BaseModel, Field

from rag_api.dependencies import State

router = APIRouter(tags=["integrations"], dependencies=[PUBLIC])


class Healthcheck(BaseModel):
    """Whether all dependencies of the integrations are available."""

    status: Literal["ok", "unavailable"]
    detail: str | None = Field(
        default=None, description="Which dependencies are unavailable, and why; omitted if there are none."
    )


@router.get("/healthcheck", response_model_exclude_none=True, responses={503: {"model": Healthcheck}})
async def healthcheck(state: State, response: Response) -> Healthcheck:
    """Summarize /readyz, which reports each dependency, in one status."""
    found = await readiness(state.checks)
    if found.ready:
        return Healthcheck(status="ok")
    response.status_code = 503
    broken = [f"{name}: {health.detail}" for name, health in found.dependencies.items() if not health.ok]
    return Healthcheck(status="unavailable", detail="; ".join(broken))
