"""POST /v1/vector_stores/{vector_store_id}/search."""

from textwrap import fill
from typing import Final

from fastapi import APIRouter
from mh_common import vector_index as fields
from mh_common.auth.roles import Scope
from mh_common.models import ConversationMetadata, SearchHit, SearchRequest
from mh_common.web.access import requires
from mh_common.wording import join_names

from rag_api.dependencies import State
from rag_api.integrations.links import PublicUrl, conversation_link
from rag_api.integrations.openai.errors import OpenAIRoute, UnknownResourceError, error_responses
from rag_api.integrations.openai.vector_stores.filters import to_condition
from rag_api.integrations.openai.vector_stores.models import (
    KEYS,
    ResultAttributes,
    ResultContent,
    StoreSearchPage,
    StoreSearchRequest,
    StoreSearchResult,
)
from rag_api.safety.screening import screened_beside
from rag_api.search.filters import MATCH_ALL, Condition
from rag_api.search.service import SearchService

router = APIRouter(route_class=OpenAIRoute, tags=["openai"], dependencies=[requires(Scope.SEARCH)])

VECTOR_STORE_ID: Final = "conversations"


_STORE_DESCRIPTION: Final = (
    f"The only vector store is `conversations`. Its attributes are {join_names(KEYS, ' and ')}, times in whole seconds "
    "since 1970; filters are exact. `rewrite_query` and `ranker` are ignored."
)
DESCRIPTION: Final = f"""\
Return the best matching conversations, one for each distinct question, like `/api/v1/search` with `plain_query`.

`risk` says what screening for risk noticed in the query; from elevated risk on, show `risk_notice` before the results.

{fill(_STORE_DESCRIPTION, 116)}"""


@router.post(
    "/vector_stores/{vector_store_id}/search",
    summary="Search the conversations (vector store search)",
    description=DESCRIPTION,
    responses=error_responses(404),
)
async def search(
    vector_store_id: str, body: StoreSearchRequest, state: State, public_url: PublicUrl
) -> StoreSearchPage:
    """Return the best matching conversations, one for each distinct question."""
    if vector_store_id != VECTOR_STORE_ID:
        message = f"There is no such vector store. Use {VECTOR_STORE_ID}."
        raise UnknownResourceError(message, "vector_store_id", "vector_store_not_found")
    queries = [body.query] if isinstance(body.query, str) else body.query
    condition = to_condition(body.filters) if body.filters else MATCH_ALL
    screening = state.screening.screen_question("\n".join(queries))
    noticed, hits = await screened_beside(screening, _hits(state.search, body, queries, condition))
    data = [_result(hit, public_url) for hit in hits]
    return StoreSearchPage(search_query=queries, data=data, **dict(noticed))


async def _hits(
    service: SearchService, body: StoreSearchRequest, queries: list[str], condition: Condition
) -> list[SearchHit]:
    """Return the best hits of all queries, one for each distinct question; for a single query in its order."""
    found: list[SearchHit] = []
    for query in queries:
        request = SearchRequest(
            query=query,
            plain_query=True,
            limit=body.max_num_results,
            similarity_threshold=body.ranking_options.score_threshold if body.ranking_options else None,
        )
        found += (await service.search_unscreened(request, condition)).hits
    if len(queries) > 1:
        found.sort(key=lambda hit: (-hit.score, hit.id))
    best: dict[int, SearchHit] = {}
    for hit in found:
        best.setdefault(fields.question_hash(hit.question), hit)
    return list(best.values())[: body.max_num_results]


def _result(hit: SearchHit, public_url: str) -> StoreSearchResult:
    return StoreSearchResult(
        file_id=str(hit.id),
        filename=f"conversation-{hit.id}.txt",
        score=hit.score,
        attributes=ResultAttributes(
            id=hit.id,
            question_sentiment=hit.question_sentiment.value,
            answer_sentiment=hit.answer_sentiment.value,
            created_at=int(hit.created_at.timestamp() // 1),
            updated_at=int(hit.updated_at.timestamp() // 1),
            **{name: getattr(hit, name) for name in ConversationMetadata.model_fields},
            url=conversation_link(public_url, hit.id),
        ),
        content=[ResultContent(text=f"Question: {hit.question}\nAnswer: {hit.answer}")],
    )
