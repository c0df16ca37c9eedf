"""Errors as a FastAPI service answers them out of the box, for tools that were made for such services."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mh_common.models import Problem
from pydantic import BaseModel, Field

from rag_api.doors.refusals import DoorRoute, described


class Detail(BaseModel):
    """An error."""

    detail: str = Field(description="What is wrong, and with which field: `limit: is required`.")


class DetailRoute(DoorRoute):
    """A route whose errors are `{"detail": "..."}`. Whatever is wrong with a request is 422."""

    statuses: ClassVar[Mapping[int, int]] = {400: 422}

    @staticmethod
    def refusal(problem: Problem) -> dict[str, Any]:
        """See `DoorRoute`."""
        return Detail(detail=described(problem)).model_dump()


def detail_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these errors, for its OpenAPI document."""
    return {status: {"model": Detail} for status in statuses}
