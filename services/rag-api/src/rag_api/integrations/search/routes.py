"""POST /search and POST /search-simple."""

from typing import Annotated

from fastapi import APIRouter, Depends
from mh_common.auth.roles import Scope
from mh_common.models import SearchResult
from mh_common.web.access import requires

from rag_api.dependencies import State
from rag_api.integrations.fastapi_errors import FastAPIErrorRoute, error_detail_responses
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.search.models import FoundConversation, FoundSource, PlainSearch, Results, ResultsAsText
from rag_api.search.approval import NOTHING_HELD_BACK, HeldBack

router = APIRouter(tags=["integrations"], route_class=FastAPIErrorRoute, dependencies=[requires(Scope.SEARCH)])


async def _found(body: PlainSearch, state: State) -> SearchResult:
    return await state.search.search(body.request())


async def _found_sources(body: PlainSearch, state: State) -> tuple[SearchResult, HeldBack]:
    request = body.request()
    found = await state.search.search(request, rule=state.sources)
    held_back = NOTHING_HELD_BACK if found.hits else await state.search.held_back(request, state.sources)
    return found, held_back


Found = Annotated[SearchResult, Depends(_found)]
FoundSources = Annotated[tuple[SearchResult, HeldBack], Depends(_found_sources)]
"""What may be given to a language model, and what may not if there is nothing else."""


def _conversations(found: SearchResult, public_url: str) -> list[FoundConversation]:
    return [FoundConversation.of(hit, public_url) for hit in found.hits]


@router.post("/search", summary="Search (for tools)", responses=error_detail_responses(401, 403, 422, 503))
async def search(found: Found, public_url: PublicUrl) -> Results:
    """Return the best matching conversations, one for each distinct question, like /api/v1/search.

    `risk` says what screening for risk noticed in the query; from elevated risk on, show `risk_notice` first.
    """
    results = _conversations(found, public_url)
    return Results(results=results, total_results=len(results), risk=found.risk, risk_notice=found.risk_notice)


@router.post(
    "/search-simple", summary="Search (as text for a prompt)", responses=error_detail_responses(401, 403, 422, 503)
)
async def search_simple(found_sources: FoundSources, public_url: PublicUrl) -> ResultsAsText:
    """Return the results of /search as one text, and the source of each result.

    Only conversations that may be sources of answers are among them, since the text is meant for a language model. If
    all that is relevant must be approved first, the text says so.
    """
    found, held_back = found_sources
    results = _conversations(found, public_url)
    blocks = [one.to_prompt_block(number) for number, one in enumerate(results, start=1)]
    if reason := held_back.as_text():
        blocks = [reason]
    return ResultsAsText(
        context="\n\n".join([found.as_line(), *blocks] if found.risk_notice else blocks),
        sources=[FoundSource.model_validate(one.model_dump(exclude={"answer", "review_state"})) for one in results],
        total_results=len(results),
        risk=found.risk,
        risk_notice=found.risk_notice,
    )
