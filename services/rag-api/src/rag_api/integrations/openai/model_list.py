"""GET /v1/models."""

from typing import Final, Literal

from fastapi import APIRouter
from mh_common.web.access import SIGNED_IN
from pydantic import BaseModel

from rag_api.answers.language_models import PLATFORM_MODEL
from rag_api.integrations.openai.errors import OpenAIRoute, UnknownResourceError, error_responses

router = APIRouter(prefix="/models", tags=["openai"], route_class=OpenAIRoute, dependencies=[SIGNED_IN])

CREATED: Final = 1_767_225_600
"""1 January 2026, a fixed date: OpenAI's format requires a creation time."""


class Model(BaseModel):
    """A model in OpenAI's format."""

    id: str = PLATFORM_MODEL
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str = PLATFORM_MODEL


class ModelList(BaseModel):
    """The list of models."""

    object: Literal["list"] = "list"
    data: list[Model] = [Model()]


@router.get("", summary="List the models", responses=error_responses())
async def list_models() -> ModelList:
    """Return the list of models: there is one. Clients use this route to test URL and key."""
    return ModelList()


@router.get("/{model}", summary="Get a model", responses=error_responses(404))
async def get_model(model: str) -> Model:
    """Return the model."""
    check_model(model)
    return Model()


def check_model(name: str) -> None:
    """Check that a name is that of the only model.

    Raises:
        UnknownResourceError: there is no such model.
    """
    if name != PLATFORM_MODEL:
        raise UnknownResourceError(f"There is no such model. Use {PLATFORM_MODEL}.", "model", "model_not_found")
