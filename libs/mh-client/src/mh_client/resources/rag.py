"""Search."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from mh_common.models import GroupBy, SearchMode, SearchRequest, SearchResult, Sentiment

from mh_client._base import Call, validated
from mh_client.resources._params import query_params
from mh_client.resources.conversations import SentimentName

SearchModeName = SearchMode | Literal["hybrid", "semantic", "keyword"]
GroupByName = GroupBy | Literal["question", "none"]


class SearchFilters(TypedDict, total=False):
    """What may narrow or change a search; None is the same as left out.

    Times must be aware; `after` includes the time itself, `before` does not. `plain_query` takes the query as free text
    only; else it may hold `"a phrase"`, `-word` and filters such as `created_at>=2026-03`.
    """

    plain_query: bool
    mode: SearchModeName
    group_by: GroupByName
    explain: bool
    limit: int
    similarity_threshold: float | None
    question_sentiment: Sentiment | SentimentName | Sequence[Sentiment | SentimentName] | None
    answer_sentiment: Sentiment | SentimentName | Sequence[Sentiment | SentimentName] | None
    created_after: datetime | None
    created_before: datetime | None
    updated_after: datetime | None
    updated_before: datetime | None
    ids: Sequence[int] | None


def search(query: str, **filters: Unpack[SearchFilters]) -> Call[SearchResult]:
    """Find conversations by meaning and words, best first (`limit` 1 to 100, default 10), one for each question."""
    values: dict[str, object] = {"query": query, **filters}
    for name in ("question_sentiment", "answer_sentiment"):
        if isinstance(values.get(name), str):
            values[name] = [values[name]]
    request = validated(SearchRequest, values)
    return Call(
        method="POST",
        path="/api/v1/search",
        content=request.model_dump_json(exclude_none=True, exclude_unset=True).encode(),
        parse=SearchResult.model_validate_json,
    )


def similar(conversation_id: int, limit: int = 10, similarity_threshold: float = 0.0) -> Call[SearchResult]:
    """Find other questions like that of a conversation, best first, one hit for each (`limit` 1 to 100)."""
    return Call(
        method="GET",
        path=f"/api/v1/conversations/{conversation_id:d}/similar",
        params=query_params({"limit": limit, "similarity_threshold": similarity_threshold}),
        parse=SearchResult.model_validate_json,
    )
