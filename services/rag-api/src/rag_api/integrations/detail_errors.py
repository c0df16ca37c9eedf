"""Errors as a FastAPI service answers them out of the box, for tools that were made for such services."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mh_common.models import Problem
from pydantic import BaseModel, Field

from rag_api.integrations.routing import IntegrationRoute, in_one_line


class Detail(BaseModel):
    """An error."""

    detail: str = Field(description="What is wrong, and with which field: `limit: is required`.")


class DetailRoute(IntegrationRoute):
    """A route whose errors are `{"detail": "..."}`. Whatever is wrong with a request is 422."""

    statuses: ClassVar[Mapping[int, int]] = {400: 422}

    @staticmethod
    def error_body(problem: Problem) -> Detail:
        """See `IntegrationRoute`."""
        return Detail(detail=in_one_line(problem))


def detail_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these errors, for its OpenAPI document."""
    return {status: {"model": Detail} for status in statuses}
