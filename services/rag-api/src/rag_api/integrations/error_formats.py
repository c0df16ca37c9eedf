"""Routes that return errors in the format of their integration."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from mh_common.models import Problem, Risk
from mh_common.web.access import GuardedRoute
from pydantic import BaseModel

from rag_api.problems import problem_of

MAX_SHOWN_FIELDS: Final = 10


class IntegrationRoute(GuardedRoute):
    """A route that returns every error as `error_body`, in its integration's format.

    Who may call is checked before the body is read: whatever is in it, a refused caller learns nothing else.
    Headers, such as Retry-After, and the status are those of the problem; `statuses` overrides a status by another.
    """

    statuses: ClassVar[Mapping[int, int]] = {}

    @staticmethod
    def error_body(problem: Problem) -> BaseModel:
        """Return the response body for a problem."""
        raise NotImplementedError

    @classmethod
    def error_response(cls, request: Request, error: Exception) -> JSONResponse:
        """Return the response for an error."""
        problem, headers = problem_of(request, error)
        problem.status = cls.statuses.get(problem.status, problem.status)
        return JSONResponse(cls.error_body(problem).model_dump(), problem.status, headers)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()

        async def handle_with_error_format(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # any error, so that clients always get the format they expect
                return self.error_response(request, error)

        return handle_with_error_format


def one_line_message(problem: Problem) -> str:
    """Return the problem as one line, for formats without a list of fields: `limit: is required`.

    If risk was noticed in the question, that comes first. The words are left out: error messages end up in logs.
    """
    risk = Risk.model_validate((problem.model_extra or {}).get("risk", {}))
    if risk.level.needs_notice:
        names = ", ".join(category.replace("_", " ") for category in risk.categories)
        return (
            f"Risk was noticed in the question ({risk.level}: {names}): follow your crisis protocol. {_line(problem)}"
        )
    return _line(problem)


def _line(problem: Problem) -> str:
    if not problem.errors:
        return problem.detail or problem.title
    shown = "; ".join(f"{error.field or 'body'}: {error.message}" for error in problem.errors[:MAX_SHOWN_FIELDS])
    more = len(problem.errors) - MAX_SHOWN_FIELDS
    return f"{shown}; and {more} more" if more > 0 else shown
