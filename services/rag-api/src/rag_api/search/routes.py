"""POST /api/v1/search."""

from typing import Any, Final

from fastapi import APIRouter
from mh_common.models import SearchRequest, SearchResult
from mh_common.web.problems import problem_responses

from rag_api.dependencies import Search

router = APIRouter(prefix="/api/v1/search", tags=["search"])

_EXAMPLE: Final[dict[str, Any]] = {
    "hits": [
        {
            "id": 42,
            "question": "I lie awake for hours worrying about work. How do I switch off?",
            "answer": "Try a fixed hour to write the worries down, well before bed.",
            "question_sentiment": "negative",
            "answer_sentiment": "neutral",
            "score": 0.640912,
        }
    ],
    "total_hits": 1,
    "index_rebuilding": False,
}


@router.post(
    "",
    summary="Search by meaning",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 422, 503),
    },
)
async def search(request: SearchRequest, service: Search) -> SearchResult:
    """Return the conversations whose question is nearest in meaning to the query, best first.

    Filters that are given must all hold. Texts and sentiments are the present ones; a conversation that was changed
    and is not indexed again yet is left out. Before anything is indexed there are no hits. While the index is built
    anew in place, `index_rebuilding` is true and hits may be missing.
    """
    return await service.search(request)
