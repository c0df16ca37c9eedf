"""Errors as OpenAI's API gives them, and the routes that answer with them and ask for the key."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import Depends, HTTPException, Request, Response
from fastapi.security import HTTPBearer
from fastapi.sse import format_sse_event
from mh_common.errors import InvalidRequestError, NotFoundError
from mh_common.models import Problem
from pydantic import BaseModel

from rag_api.dependencies import state_of
from rag_api.integrations.authentication import bearer_token, is_admitted
from rag_api.integrations.routing import IntegrationRoute, in_one_line
from rag_api.problems import problem_of

KEY = Depends(HTTPBearer(auto_error=False, description="DOORS_API_KEY, where it is set."))
"""For the OpenAPI document; `OpenAIRoute` does the asking, before anything of the body is read."""

_CODES: Final = {400: "invalid_value", 401: "invalid_api_key"}


class ErrorDetail(BaseModel):
    """What went wrong; `param` is the field that has to change."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An error in OpenAI's form."""

    error: ErrorDetail


class RefusedError(InvalidRequestError):
    """The request cannot be answered as it is: `param` names the field, `code` the reason in OpenAI's terms."""

    def __init__(self, message: str, param: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.members = {"param": param, "code": code}


class UnknownError(NotFoundError):
    """Something that the request names does not exist; `param` and `code` as in `RefusedError`."""

    def __init__(self, message: str, param: str | None, code: str) -> None:
        super().__init__(message)
        self.members = {"param": param, "code": code}


def error_body(problem: Problem) -> ErrorBody:
    """Return the error in OpenAI's form."""
    members = problem.model_extra or {}
    detail = ErrorDetail(
        message=in_one_line(problem),
        type="server_error" if problem.status >= 500 else "invalid_request_error",
        param=members.get("param") or next((fault.field for fault in problem.errors or []), None),
        code=members.get("code") or _CODES.get(problem.status),
    )
    return ErrorBody(error=detail)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these errors, for its OpenAPI document."""
    # With "default" FastAPI documents no 422 of its own form, which nobody ever gets here.
    answered: tuple[int | str, ...] = (400, 401, *statuses, "default")
    return {status: {"model": ErrorBody} for status in answered}


def error_event(request: Request, error: Exception) -> bytes:
    """Return the event that tells an error after a stream has begun."""
    problem, _ = problem_of(request, error)
    return format_sse_event(data_str=error_body(problem).model_dump_json())


class OpenAIRoute(IntegrationRoute):
    """A route that asks for the key first, and tells errors as OpenAI's API does."""

    error_body = staticmethod(error_body)
    # OpenAI has one status for all bodies that are not acceptable.
    statuses: ClassVar[Mapping[int, int]] = {422: 400}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        answer = super().get_route_handler()

        async def answer_with_key(request: Request) -> Response:
            if not is_admitted(state_of(request).integrations.api_key, bearer_token(request)):
                wrong_key = "The API key is missing or wrong: send the platform's key as bearer token."
                return self.error_response(request, HTTPException(401, wrong_key))
            return await answer(request)

        return answer_with_key
