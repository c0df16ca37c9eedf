"""POST /api/v1/search, and the conversations similar to one."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from mh_common.auth.roles import Scope
from mh_common.models import MAX_ID, DecimalParameter, NumberParameter, SearchRequest, SearchResult
from mh_common.web.access import GuardedRoute, requires
from mh_common.web.problems import problem_responses

from rag_api.dependencies import State

router = APIRouter(route_class=GuardedRoute, prefix="/api/v1", tags=["search"], dependencies=[requires(Scope.SEARCH)])

_EXAMPLE: Final[dict[str, Any]] = {
    "hits": [
        {
            "id": 42,
            "question": "I lie awake for hours worrying about work. How do I switch off?",
            "answer": "Try a fixed hour to write the worries down, well before bed.",
            "question_sentiment": "negative",
            "answer_sentiment": "neutral",
            "version": 1,
            "created_at": "2026-03-01T09:30:00Z",
            "updated_at": "2026-03-01T09:30:00Z",
            "score": 0.840912,
            "relevance": 0.940912,
            "source_url": "https://example.org/questions/42",
            "source_date": "2021-01-01",
            "category": "sleep",
            "author": "Jane Doe",
            "risk_level": "none",
            "unsafe_advice": "none",
            "origin": "import",
            "review_state": "approved",
            "highlights": {"question": [[6, 11], [22, 30]], "answer": [[33, 40]]},
            "explanation": None,
        }
    ],
    "total_hits": 1,
    "relevance_threshold": 0.5,
    "scores_calibrated": True,
    "index_rebuilding": False,
    "risk": {"level": "none", "categories": [], "spans": [], "screened": True},
    "risk_notice": None,
}


@router.post(
    "/search",
    response_model=SearchResult,
    summary="Search by meaning and keywords",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 401, 403, 422, 503),
    },
)
async def search(request: SearchRequest, state: State) -> Response:
    """Return the best matching conversations, one for each distinct question unless `group_by` is `none`.

    All filters must hold, both those typed into the query and those in other fields. Texts and sentiments are current;
    a conversation that has changed and is not yet indexed again is left out. Before anything is indexed there are no
    hits. While the index is being rebuilt in place, `index_rebuilding` is true and hits may be missing. `risk` says
    what screening noticed in the query; from elevated risk on, show `risk_notice` before the hits. No hit is left out
    for it.
    """
    return _response(await state.search.search(request))


@router.get(
    "/conversations/{conversation_id}/similar",
    response_model=SearchResult,
    summary="Find similar questions",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 401, 403, 404, 422, 503),
    },
)
async def similar(
    conversation_id: Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The conversation to compare with.")],
    state: State,
    limit: Annotated[NumberParameter, Query(ge=1, le=100, description="Maximum number of hits.")] = 10,
    similarity_threshold: Annotated[DecimalParameter, Query(ge=0, le=1, description="Minimum score of a hit.")] = 0.0,
) -> Response:
    """Return the conversations whose questions are most similar to this one's, one for each distinct other question.

    Works as soon as the conversation is stored, even before it is indexed.
    """
    return _response(await state.search.similar(conversation_id, limit, similarity_threshold))


def _response(result: SearchResult) -> Response:
    """Return the response for a result. Serialized here, since FastAPI would validate it a second time."""
    return Response(result.model_dump_json(), media_type="application/json")
