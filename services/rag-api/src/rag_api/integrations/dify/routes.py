"""POST /retrieval."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import APIRouter, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from mh_common.errors import NotFoundError
from mh_common.models import Problem

from rag_api.dependencies import State, state_of
from rag_api.integrations.authentication import bearer_token, is_admitted
from rag_api.integrations.dify.filters import condition_of
from rag_api.integrations.dify.models import DifyError, Record, Retrieval, RetrievalRequest
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.routing import IntegrationRoute, in_one_line

KNOWLEDGE_ID: Final = "conversations"
"""The one knowledge that there is."""

BAD_HEADER: Final = 1001
BAD_KEY: Final = 1002
UNKNOWN_KNOWLEDGE: Final = 2001


class DifyRoute(IntegrationRoute):
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
    def error_body(problem: Problem) -> DifyError:
        """See `IntegrationRoute`."""
        code = UNKNOWN_KNOWLEDGE if problem.status == 404 else problem.status
        return DifyError(error_code=code, error_msg=in_one_line(problem))


def _refused(request: Request) -> DifyError | None:
    token = bearer_token(request)
    if is_admitted(state_of(request).integrations.api_key, token):
        return None
    if token is None:
        return DifyError(error_code=BAD_HEADER, error_msg="The Authorization header must be: Bearer KEY")
    return DifyError(error_code=BAD_KEY, error_msg="The key is not the one that DOORS_API_KEY sets.")


router = APIRouter(tags=["integrations"], route_class=DifyRoute)


@router.post(
    "/retrieval",
    summary="Dify's External Knowledge API",
    response_model_exclude_none=True,
    responses={status: {"model": DifyError} for status in (400, 403, 404, 503, "default")},
    # For the OpenAPI document; the route has looked at the key before.
    dependencies=[Security(HTTPBearer(auto_error=False, description="DOORS_API_KEY, where one is set."))],
)
async def retrieve(asked: RetrievalRequest, state: State, public_url: PublicUrl) -> Retrieval:
    """Return the conversations that fit the query best and meet the metadata condition, one for each question."""
    if asked.knowledge_id != KNOWLEDGE_ID:
        raise NotFoundError(f"There is no such knowledge; the External Knowledge ID is {KNOWLEDGE_ID}.")
    result = await state.search.search(asked.search_request(), condition_of(asked.metadata_condition))
    return Retrieval(records=[Record.of(hit, public_url) for hit in result.hits])
