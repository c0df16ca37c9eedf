"""OpenAI's error format, and the route class that returns it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from fastapi import Request
from fastapi.sse import format_sse_event
from mh_common.errors import InvalidRequestError, NotFoundError
from mh_common.models import Problem
from pydantic import BaseModel

from rag_api.integrations.error_formats import IntegrationRoute, one_line_message
from rag_api.problems import problem_of

_CODES: Final = {400: "invalid_value", 401: "invalid_api_key", 429: "rate_limit_exceeded"}


class ErrorDetail(BaseModel):
    """What went wrong; `param` is the invalid field."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An error in OpenAI's format."""

    error: ErrorDetail


class InvalidParamError(InvalidRequestError):
    """A field of the request is invalid: `param` is its name, `code` one of OpenAI's error codes."""

    def __init__(self, message: str, param: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.members = {"param": param, "code": code}


class UnknownResourceError(NotFoundError):
    """Something that the request refers to does not exist; `param` and `code` as in `InvalidParamError`."""

    def __init__(self, message: str, param: str | None, code: str) -> None:
        super().__init__(message)
        self.members = {"param": param, "code": code}


def error_body(problem: Problem) -> ErrorBody:
    """Return a problem in OpenAI's error format."""
    members = problem.model_extra or {}
    detail = ErrorDetail(
        message=one_line_message(problem),
        type="server_error" if problem.status >= 500 else "invalid_request_error",
        param=members.get("param") or next((fault.field for fault in problem.errors or []), None),
        code=members.get("code") or ("missing_scope" if "missing_scopes" in members else _CODES.get(problem.status)),
    )
    return ErrorBody(error=detail)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of a route for these error statuses."""
    # "default" keeps FastAPI from documenting its own 422, which is never returned here.
    answered: tuple[int | str, ...] = (400, 401, 403, 429, 503, *statuses, "default")
    return {status: {"model": ErrorBody} for status in answered}


def error_event(request: Request, error: Exception) -> bytes:
    """Return the event that reports an error after a stream has started."""
    problem, _ = problem_of(request, error)
    return format_sse_event(data_str=error_body(problem).model_dump_json())


class OpenAIRoute(IntegrationRoute):
    """A route that returns errors in OpenAI's format."""

    error_body = staticmethod(error_body)
    # OpenAI uses 400 for all invalid bodies.
    statuses: ClassVar[Mapping[int, int]] = {422: 400}
