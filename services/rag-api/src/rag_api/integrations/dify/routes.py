"""POST /retrieval."""

from collections.abc import Mapping
from typing import ClassVar, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from mh_common.auth.roles import Scope
from mh_common.errors import AuthenticationError, NotFoundError
from mh_common.models import Problem
from mh_common.web.access import NO_CREDENTIAL, requires

from rag_api.dependencies import State
from rag_api.integrations.dify.filters import to_condition
from rag_api.integrations.dify.models import DifyError, Record, Retrieval, RetrievalRequest
from rag_api.integrations.error_formats import IntegrationRoute, one_line_message
from rag_api.integrations.links import PublicUrl

KNOWLEDGE_ID: Final = "conversations"
"""The id of the only knowledge base."""

MALFORMED_HEADER: Final = 1001
WRONG_KEY: Final = 1002
UNKNOWN_KNOWLEDGE: Final = 2001

WANTED_HEADER: Final = "The Authorization header must be: Bearer KEY"


class DifyRoute(IntegrationRoute):
    """A route with Dify's error format.

    When an API is registered, Dify probes URL and key with a request without a body, and treats 403, 404 and 502 as
    failures. So a wrong key is always 403, whatever else is wrong, and a missing body is 400.
    """

    statuses: ClassVar[Mapping[int, int]] = {422: 400}

    @classmethod
    def error_response(cls, request: Request, error: Exception) -> JSONResponse:
        """See `IntegrationRoute.error_response`."""
        if not isinstance(error, AuthenticationError):
            return super().error_response(request, error)
        is_missing = str(error) == NO_CREDENTIAL
        code, message = (MALFORMED_HEADER, WANTED_HEADER) if is_missing else (WRONG_KEY, str(error))
        return JSONResponse(DifyError(error_code=code, error_msg=message).model_dump(), 403)

    @staticmethod
    def error_body(problem: Problem) -> DifyError:
        """See `IntegrationRoute.error_body`."""
        code = UNKNOWN_KNOWLEDGE if problem.status == 404 else problem.status
        return DifyError(error_code=code, error_msg=one_line_message(problem))


router = APIRouter(tags=["integrations"], route_class=DifyRoute, dependencies=[requires(Scope.SEARCH)])


@router.post(
    "/retrieval",
    summary="Dify's External Knowledge API",
    response_model_exclude_none=True,
    responses={status: {"model": DifyError} for status in (400, 403, 404, 503, "default")},
)
async def retrieve(body: RetrievalRequest, state: State, public_url: PublicUrl) -> Retrieval:
    """Return the best matching conversations that satisfy the metadata condition, one for each distinct question.

    The metadata of each record say what screening for risk noticed in the query (`risk`); from elevated risk on, they
    have the notice in one line (`risk_summary`). If there are no records, nothing says it.

    Only conversations that may be sources of answers are returned, since Dify gives them to a language model. If all
    that is relevant must be approved first, the only record says so.
    """
    if body.knowledge_id != KNOWLEDGE_ID:
        raise NotFoundError(f"Unknown knowledge base. Set the External Knowledge ID to {KNOWLEDGE_ID}.")
    request, condition = body.search_request(), to_condition(body.metadata_condition)
    result = await state.search.search(request, condition, state.sources)
    if not result.hits:
        held_back = await state.search.held_back(request, state.sources, condition)
        return Retrieval(records=[Record.of_held_back(held_back, result)] if held_back.as_text() else [])
    return Retrieval(records=[Record.of(hit, result, public_url) for hit in result.hits])
