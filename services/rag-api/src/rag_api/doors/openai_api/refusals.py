"""Errors as OpenAI's API gives them, the request for its key, and the routes that have both."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import Depends, HTTPException, Request, Response
from fastapi.security import HTTPBearer
from fastapi.sse import format_sse_event
from mh_common.errors import InvalidRequestError, NotFoundError
from mh_common.models import Problem
from pydantic import BaseModel

from rag_api.doors import keys
from rag_api.doors.refusals import DoorRoute, described, told_elsewhere

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


def refusal(problem: Problem) -> dict[str, Any]:
    """Return the error in OpenAI's form."""
    members = problem.model_extra or {}
    detail = ErrorDetail(
        message=described(problem),
        type="server_error" if problem.status >= 500 else "invalid_request_error",
        param=members.get("param") or next((fault.field for fault in problem.errors or []), None),
        code=members.get("code") or _CODES.get(problem.status),
    )
    return ErrorBody(error=detail).model_dump()


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can refuse so, for its OpenAPI document."""
    # With "default" FastAPI documents no 422 of its own form, which nobody ever gets here.
    answered: tuple[int | str, ...] = (400, 401, *statuses, "default")
    return {status: {"model": ErrorBody} for status in answered}


async def error_event(request: Request, error: Exception) -> bytes:
    """Return the event that tells an error after a stream has begun."""
    problem, _ = await told_elsewhere(request, error)
    body = ErrorBody(**refusal(problem))
    return format_sse_event(data_str=body.model_dump_json())


class OpenAIRoute(DoorRoute):
    """A route that asks for the key first, and refuses as OpenAI's API does."""

    refusal = staticmethod(refusal)
    # OpenAI has one status for all bodies that are not acceptable.
    statuses: ClassVar[Mapping[int, int]] = {422: 400}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        answer = super().get_route_handler()

        async def answer_with_key(request: Request) -> Response:
            if not keys.opens(request.state.doors.api_key, keys.bearer_token(request.headers.get("Authorization"))):
                wrong_key = "The API key is missing or wrong: send the platform's key as bearer token."
                return await self.refuse(request, HTTPException(401, wrong_key))
            return await answer(request)

        return answer_with_key
