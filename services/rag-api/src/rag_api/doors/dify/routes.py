"""POST /retrieval."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import APIRouter, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from mh_common.errors import NotFoundError
from mh_common.models import Problem

from rag_api.dependencies import Doors, Search
from rag_api.doors import keys
from rag_api.doors.dify.filters import condition_of
from rag_api.doors.dify.models import Record, Refusal, Retrieval, RetrievalRequest
from rag_api.doors.links import base_url
from rag_api.doors.refusals import DoorRoute, described
from rag_api.settings import DoorsSettings

KNOWLEDGE_ID: Final = "conversations"
"""The one knowledge that there is."""

BAD_HEADER: Final = 1001
BAD_KEY: Final = 1002
UNKNOWN_KNOWLEDGE: Final = 2001


class DifyRoute(DoorRoute):
    """A route whose errors are as Dify knows them, and which looks at the key before anything else.

    A request without a body is how Dify tries an address and a key when they are entered; it takes 403, 404 and 502 for
    a failure. So a bad key is 403, whatever else is wrong, and a body that is not there is 400.
    """

    statuses: ClassVar[Mapping[int, int]] = {422: 400}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        answer = super().get_route_handler()

        async def answer_to_the_key(request: Request) -> Response:
            refused = _refused(request)
            return await answer(request) if refused is None else JSONResponse(refused.model_dump(), 403)

        return answer_to_the_key

    @staticmethod
    def refusal(problem: Problem) -> dict[str, Any]:
        """See `DoorRoute`."""
        code = UNKNOWN_KNOWLEDGE if problem.status == 404 else problem.status
        return Refusal(error_code=code, error_msg=described(problem)).model_dump()


def _refused(request: Request) -> Refusal | None:
    settings: DoorsSettings = request.state.doors
    token = keys.bearer_token(request.headers.get("Authorization"))
    if keys.opens(settings.api_key, token):
        return None
    if token is None:
        return Refusal(error_code=BAD_HEADER, error_msg="The Authorization header must be: Bearer KEY")
    return Refusal(error_code=BAD_KEY, error_msg="The key is not the one that DOORS_API_KEY sets.")


router = APIRouter(tags=["doors"], route_class=DifyRoute)


@router.post(
    "/retrieval",
    summary="Dify's External Knowledge API",
    responses={status: {"model": Refusal} for status in (400, 403, 404, 503, "default")},
    # For the OpenAPI document; the route has looked at the key before.
    dependencies=[Security(HTTPBearer(auto_error=False, description="DOORS_API_KEY, where one is set."))],
)
async def retrieve(asked: RetrievalRequest, service: Search, doors: Doors, request: Request) -> Retrieval:
    """Return the conversations that fit the query best and meet the metadata condition, one for each question."""
    if asked.knowledge_id != KNOWLEDGE_ID:
        raise NotFoundError(f"There is no such knowledge; the External Knowledge ID is {KNOWLEDGE_ID}.")
    result = await service.search(asked.search_request(), condition_of(asked.metadata_condition))
    base = base_url(request, doors.public_url)
    return Retrieval(records=[Record.of(hit, base) for hit in result.hits])
