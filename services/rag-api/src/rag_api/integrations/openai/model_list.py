"""GET /v1/models."""

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from rag_api.answers.language_models import PLATFORM_MODEL
from rag_api.integrations.openai.errors import KEY, OpenAIRoute, UnknownError, error_responses

router = APIRouter(prefix="/models", tags=["openai"], route_class=OpenAIRoute, dependencies=[KEY])

CREATED: Final = 1_767_225_600
"""The first of January 2026. OpenAI's models have a day on which they were made; ours is always the present one."""


class Model(BaseModel):
    """A model, as OpenAI describes it."""

    id: str = PLATFORM_MODEL
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str = PLATFORM_MODEL


class ModelList(BaseModel):
    """The models there are."""

    object: Literal["list"] = "list"
    data: list[Model] = [Model()]


@router.get("", summary="The one model there is", responses=error_responses())
async def list_models() -> ModelList:
    """Return the list of models. Clients call it to see whether address and key are right."""
    return ModelList()


@router.get("/{model}", summary="That model", responses=error_responses(404))
async def get_model(model: str) -> Model:
    """Return the model."""
    check_model(model)
    return Model()


def check_model(name: str) -> None:
    """Refuse any other name than that of the one model.

    Raises:
        UnknownError: it is another one.
    """
    if name != PLATFORM_MODEL:
        raise UnknownError(f"There is no such model here. The model is {PLATFORM_MODEL}.", "model", "model_not_found")
