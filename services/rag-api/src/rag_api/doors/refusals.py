"""Errors of a door, in that door's own form."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from mh_common.models import Problem
from mh_common.web.problems import problem_of

SHOWN_FIELDS: Final = 10


class DoorRoute(APIRoute):
    """A route whose errors leave as `refusal` makes them of the problem document that other routes answer with.

    Headers, such as Retry-After, stay as they are, and so does the status unless `statuses` names another for it.
    """

    refusal: ClassVar["staticmethod[[Problem], dict[str, Any]]"]
    statuses: ClassVar[Mapping[int, int]] = {}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        answer = super().get_route_handler()

        async def answer_or_refuse(request: Request) -> Response:
            try:
                return await answer(request)
            except Exception as error:  # whatever it is, the problem's handlers know it
                return await self.refuse(request, error)

        return answer_or_refuse

    @classmethod
    async def refuse(cls, request: Request, error: Exception) -> JSONResponse:
        """Return the answer to an error."""
        problem, retry_after = await told_elsewhere(request, error)
        problem.status = cls.statuses.get(problem.status, problem.status)
        headers = None if retry_after is None else {"retry-after": retry_after}
        return JSONResponse(cls.refusal(problem), problem.status, headers=headers)


async def told_elsewhere(request: Request, error: Exception) -> tuple[Problem, str | None]:
    """Return the problem that other routes answer this error with, and its Retry-After, if any."""
    response = await problem_of(request, error)
    return Problem.model_validate_json(bytes(response.body)), response.headers.get("retry-after")


def described(problem: Problem) -> str:
    """Return in one line what is wrong, for forms without a place for single fields: `limit: is required`."""
    if not problem.errors:
        return problem.detail or problem.title
    shown = "; ".join(f"{error.field or 'body'}: {error.message}" for error in problem.errors[:SHOWN_FIELDS])
    more = len(problem.errors) - SHOWN_FIELDS
    return f"{shown}; and {more} more" if more > 0 else shown
