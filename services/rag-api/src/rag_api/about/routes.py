"""GET /api/v1/about."""

from typing import Any, Final

from fastapi import APIRouter
from mh_common.models import About
from mh_common.web.access import SIGNED_IN, GuardedRoute
from mh_common.web.problems import problem_responses

from rag_api.dependencies import State

router = APIRouter(route_class=GuardedRoute, prefix="/api/v1", tags=["about"], dependencies=[SIGNED_IN])

_EXAMPLE: Final[dict[str, Any]] = {
    "version": "0.1.0",
    "answers": "model",
    "language_model": {
        "name": "gpt-4o-mini",
        "recipient": "api.openai.com",
        "remote": True,
        "phi_mode": "pseudonymise",
    },
    "embedding": {"name": "all-MiniLM-L6-v2", "recipient": "this machine", "remote": False, "phi_mode": "off"},
    "safety_screening": True,
    "notice": "For professionals. …",
}


@router.get(
    "/about",
    summary="What answers here, and who gets the texts",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}, **problem_responses(401, 503)},
)
async def about(state: State) -> About:
    """Return the models in use and the hosts that questions and conversations are sent to, to be shown before asking.

    `this machine` means that texts do not leave it. `phi_mode` says what happens to names and other identifiers that
    are recognised; others are sent as they are.
    """
    return state.about
