"""GET /v1/models, and all other routes under /v1."""

from typing import Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

import rag_api.doors.openai_api.chat.routes
import rag_api.doors.openai_api.vector_stores.routes
from rag_api.doors.openai_api.model_names import MODEL, check_model
from rag_api.doors.openai_api.refusals import KEY, OpenAIRoute, UnknownError, refusals

models = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, dependencies=[KEY])
others = APIRouter(prefix="/v1", route_class=OpenAIRoute)

CREATED: Final = 1_767_225_600
"""The first of January 2026. OpenAI's models have a day on which they were made; ours is always the present one."""


class Model(BaseModel):
    """A model, as OpenAI describes it."""

    id: str = MODEL
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str = MODEL


class ModelList(BaseModel):
    """The models there are."""

    object: Literal["list"] = "list"
    data: list[Model] = [Model()]


@models.get("/models", summary="The one model there is", responses=refusals())
async def list_models() -> ModelList:
    """Return the list of models. Clients call it to see whether address and key are right."""
    return ModelList()


@models.get("/models/{model}", summary="That model", responses=refusals(404))
async def get_model(model: str) -> Model:
    """Return the model."""
    check_model(model)
    return Model()


@others.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def unknown(request: Request) -> None:
    """Refuse what OpenAI's API has and this one has not, so that a client can tell its user."""
    raise UnknownError(f"There is no {request.method} {request.url.path} here.", None, "unknown_url")


router = APIRouter()
for one in (models, rag_api.doors.openai_api.chat.routes.router, rag_api.doors.openai_api.vector_stores.routes.router):
    router.include_router(one)
# The last, as it takes what is left.
router.include_router(others)
