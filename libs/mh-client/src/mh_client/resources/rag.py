"""Search."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from mh_common.models import SearchRequest, SearchResult, Sentiment

from mh_client._base import Call, validated
from mh_client.resources.conversations import SentimentName


class SearchFilters(TypedDict, total=False):
    """What may narrow a search; None is the same as left out.

    Times must be aware; `after` includes the time itself, `before` does not.
    """

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
    """Find conversations whose question is near the query in meaning, best first (`limit` 1 to 100, default 10)."""
    values: dict[str, object] = {"query": query, **filters}
    for name in ("question_sentiment", "answer_sentiment"):
        if isinstance(values.get(name), str):
            values[name] = [values[name]]
    request = validated(SearchRequest, values)
    return Call(
        method="POST",
        path="/api/v1/search",
        content=request.model_dump_json(exclude_none=True).encode(),
        parse=SearchResult.model_validate_json,
    )
