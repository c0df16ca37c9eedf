"""Errors of a door, in that door's own form."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from mh_common.models import Problem
from mh_common.web.problems import problem_of


class DoorRoute(APIRoute):
    """A route whose errors leave as `refusal` makes them of the problem document that other routes answer with.

    Status and headers, such as Retry-After, stay as they are unless the refusal brings its own.
    """

    refusal: ClassVar[Callable[[Problem], dict[str, Any]]]

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
        response = await problem_of(request, error)
        problem = Problem.model_validate_json(bytes(response.body))
        headers = {name: value for name, value in response.headers.items() if name == "retry-after"}
        return JSONResponse(cls.refusal(problem), problem.status, headers=headers)
