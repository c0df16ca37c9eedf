"""POST /api/v1/search, and the conversations similar to one."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from mh_common.models import ConversationId, SearchRequest, SearchResult
from mh_common.web.problems import problem_responses

from rag_api.dependencies import State

router = APIRouter(prefix="/api/v1", tags=["search"])

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
            "score": 0.940912,
            "source_url": "https://example.org/questions/42",
            "source_date": "2021-01-01",
            "category": "sleep",
            "author": "Jane Doe",
            "highlights": {"question": [[6, 11], [22, 30]], "answer": [[33, 40]]},
            "explanation": None,
        }
    ],
    "total_hits": 1,
    "relevance_threshold": 0.5,
    "scores_calibrated": True,
    "index_rebuilding": False,
}


@router.post(
    "/search",
    response_model=SearchResult,
    summary="Search by meaning and words",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 422, 503),
    },
)
async def search(request: SearchRequest, state: State) -> Response:
    """Return the conversations that fit the query best, one for each distinct question unless `group_by` is `none`.

    Filters that are given must all hold, those typed into the query and the others. Texts and sentiments are the
    present ones; a conversation that was changed and is not indexed again yet is left out. Before anything is indexed
    there are no hits. While the index is built anew in place, `index_rebuilding` is true and hits may be missing.
    """
    return _answer(await state.search.search(request))


@router.get(
    "/conversations/{conversation_id}/similar",
    response_model=SearchResult,
    summary="Questions like that of a conversation",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 404, 422, 503),
    },
)
async def similar(
    conversation_id: Annotated[ConversationId, Path(description="The conversation to start from.")],
    state: State,
    limit: Annotated[int, Query(ge=1, le=100, description="Most hits to return.")] = 10,
    similarity_threshold: Annotated[
        float, Query(ge=0, le=1, description="Leave out hits whose score is below this.")
    ] = 0.0,
) -> Response:
    """Return the conversations whose question is most like this one's, one for each distinct other question.

    Works from the moment the conversation is stored, whether it is indexed yet or not.
    """
    return _answer(await state.search.similar(conversation_id, limit, similarity_threshold))


def _answer(result: SearchResult) -> Response:
    """Return the answer that shows a result. Made here: the framework would check it once more."""
    return Response(result.model_dump_json(), media_type="application/json")
