"""POST /retrieval."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from fastapi import APIRouter, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from mh_common.errors import NotFoundError
from mh_common.models import Problem

from rag_api.dependencies import State, state_of
from rag_api.integrations.authentication import bearer_token, is_authorized
from rag_api.integrations.dify.filters import to_condition
from rag_api.integrations.dify.models import DifyError, Record, Retrieval, RetrievalRequest
from rag_api.integrations.error_formats import IntegrationRoute, one_line_message
from rag_api.integrations.links import PublicUrl

KNOWLEDGE_ID: Final = "conversations"
"""The id of the only knowledge base."""

MALFORMED_HEADER: Final = 1001
WRONG_KEY: Final = 1002
UNKNOWN_KNOWLEDGE: Final = 2001


class DifyRoute(IntegrationRoute):
    """A route with Dify's error format that checks the key before anything else.

    When an API is registered, Dify probes URL and key with a request without a body, and treats 403, 404 and 502 as
    failures. So a wrong key is always 403, whatever else is wrong, and a missing body is 400.
    """

    statuses: ClassVar[Mapping[int, int]] = {422: 400}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()

        async def handle_with_key(request: Request) -> Response:
            error = _authentication_error(request)
            return await handle(request) if error is None else JSONResponse(error.model_dump(), 403)

        return handle_with_key

    @staticmethod
    def error_body(problem: Problem) -> DifyError:
        """See `IntegrationRoute.error_body`."""
        code = UNKNOWN_KNOWLEDGE if problem.status == 404 else problem.status
        return DifyError(error_code=code, error_msg=one_line_message(problem))


def _authentication_error(request: Request) -> DifyError | None:
    token = bearer_token(request)
    if is_authorized(state_of(request).integrations.api_key, token):
        return None
    if token is None:
        return DifyError(error_code=MALFORMED_HEADER, error_msg="The Authorization header must be: Bearer KEY")
    return DifyError(error_code=WRONG_KEY, error_msg="The key does not match DOORS_API_KEY.")


router = APIRouter(tags=["integrations"], route_class=DifyRoute)


@router.post(
    "/retrieval",
    summary="Dify's External Knowledge API",
    response_model_exclude_none=True,
    responses={status: {"model": DifyError} for status in (400, 403, 404, 503, "default")},
    # For the OpenAPI document only; the route class checks the key.
    dependencies=[Security(HTTPBearer(auto_error=False, description="The value of DOORS_API_KEY, if set."))],
)
async def retrieve(body: RetrievalRequest, state: State, public_url: PublicUrl) -> Retrieval:
    """Return the best matching conversations that satisfy the metadata condition, one for each distinct question.

    The metadata of each record say what screening for risk noticed in the query (`risk`); from elevated risk on, they
    have the notice in one line (`risk_summary`). If there are no records, nothing says it.
    """
    if body.knowledge_id != KNOWLEDGE_ID:
        raise NotFoundError(f"Unknown knowledge base. Set the External Knowledge ID to {KNOWLEDGE_ID}.")
    result = await state.search.search(body.search_request(), to_condition(body.metadata_condition))
    return Retrieval(records=[Record.of(hit, result, public_url) for hit in result.hits])
