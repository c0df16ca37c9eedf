"""Routes whose errors are told in the format of an integration."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from mh_common.models import Problem
from pydantic import BaseModel

from rag_api.problems import problem_of

SHOWN_FIELDS: Final = 10


class IntegrationRoute(APIRoute):
    """A route that answers every error with `error_body`, in its integration's format.

    The headers, such as Retry-After, are the problem's, and so is the status unless `statuses` has another for it.
    """

    statuses: ClassVar[Mapping[int, int]] = {}

    @staticmethod
    def error_body(problem: Problem) -> BaseModel:
        """Return what a caller is told of a problem."""
        raise NotImplementedError

    @classmethod
    def error_response(cls, request: Request, error: Exception) -> JSONResponse:
        """Return the answer to an error."""
        problem, headers = problem_of(request, error)
        problem.status = cls.statuses.get(problem.status, problem.status)
        return JSONResponse(cls.error_body(problem).model_dump(), problem.status, headers)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()

        async def handle_or_tell(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # whatever it is, a caller is told in the format that it knows
                return self.error_response(request, error)

        return handle_or_tell


def in_one_line(problem: Problem) -> str:
    """Return what is wrong, for formats without a place for single fields: `limit: is required`."""
    if not problem.errors:
        return problem.detail or problem.title
    shown = "; ".join(f"{error.field or 'body'}: {error.message}" for error in problem.errors[:SHOWN_FIELDS])
    more = len(problem.errors) - SHOWN_FIELDS
    return f"{shown}; and {more} more" if more > 0 else shown
