"""FastAPI's default error format, for tools that were made for FastAPI services."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mh_common.models import Problem
from pydantic import BaseModel, Field

from rag_api.integrations.error_formats import IntegrationRoute, one_line_message


class Detail(BaseModel):
    """An error."""

    detail: str = Field(description="What is wrong, with the name of the field: `limit: is required`.")


class FastAPIErrorRoute(IntegrationRoute):
    """A route whose errors are `{"detail": "..."}`. Every invalid request is 422."""

    statuses: ClassVar[Mapping[int, int]] = {400: 422}

    @staticmethod
    def error_body(problem: Problem) -> Detail:
        """See `IntegrationRoute.error_body`."""
        return Detail(detail=one_line_message(problem))


def error_detail_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of a route for these error statuses."""
    return {status: {"model": Detail} for status in statuses}
