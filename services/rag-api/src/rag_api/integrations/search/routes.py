"""POST /search and POST /search-simple."""

from typing import Annotated

from fastapi import APIRouter, Depends

from rag_api.dependencies import State
from rag_api.integrations.detail_errors import DetailRoute, detail_responses
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.search.models import FoundConversation, FoundSource, PlainSearch, Results, ResultsAsText

router = APIRouter(tags=["integrations"], route_class=DetailRoute)


async def _found(asked: PlainSearch, state: State, public_url: PublicUrl) -> list[FoundConversation]:
    result = await state.search.search(asked.request())
    return [FoundConversation.of(hit, public_url) for hit in result.hits]


Found = Annotated[list[FoundConversation], Depends(_found)]


@router.post("/search", summary="Search, for tools", responses=detail_responses(422, 503))
async def search(found: Found) -> Results:
    """Return the conversations that fit the query best, one for each distinct question, as /api/v1/search does."""
    return Results(results=found, total_results=len(found))


@router.post("/search-simple", summary="Search, as text for a prompt", responses=detail_responses(422, 503))
async def search_simple(found: Found) -> ResultsAsText:
    """Return the same results as /search in one text, and beside it where each comes from."""
    return ResultsAsText(
        context="\n\n".join(one.block(number) for number, one in enumerate(found, start=1)),
        sources=[FoundSource.model_validate(one.model_dump(exclude={"answer"})) for one in found],
        total_results=len(found),
    )
