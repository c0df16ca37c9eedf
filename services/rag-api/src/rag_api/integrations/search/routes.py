"""POST /search and POST /search-simple."""

from typing import Annotated

from fastapi import APIRouter, Depends

from rag_api.dependencies import State
from rag_api.integrations.fastapi_errors import FastAPIErrorRoute, error_detail_responses
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.search.models import FoundConversation, FoundSource, PlainSearch, Results, ResultsAsText

router = APIRouter(tags=["integrations"], route_class=FastAPIErrorRoute)


async def _found(body: PlainSearch, state: State, public_url: PublicUrl) -> list[FoundConversation]:
    result = await state.search.search(body.request())
    return [FoundConversation.of(hit, public_url) for hit in result.hits]


FoundConversations = Annotated[list[FoundConversation], Depends(_found)]


@router.post("/search", summary="Search (for tools)", responses=error_detail_responses(422, 503))
async def search(found: FoundConversations) -> Results:
    """Return the best matching conversations, one for each distinct question, like /api/v1/search."""
    return Results(results=found, total_results=len(found))


@router.post("/search-simple", summary="Search (as text for a prompt)", responses=error_detail_responses(422, 503))
async def search_simple(found: FoundConversations) -> ResultsAsText:
    """Return the results of /search as one text, and the source of each result."""
    return ResultsAsText(
        context="\n\n".join(one.to_prompt_block(number) for number, one in enumerate(found, start=1)),
        sources=[FoundSource.model_validate(one.model_dump(exclude={"answer"})) for one in found],
        total_results=len(found),
    )
