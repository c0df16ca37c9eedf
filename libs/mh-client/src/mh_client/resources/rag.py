"""Search and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, TypedDict, Unpack

from mh_common.models import Answer, AnswerRequest, GroupBy, SearchMode, SearchRequest, SearchResult, Sentiment

from mh_client._base import Call, Retry, validated
from mh_client.resources._params import query_params
from mh_client.resources.conversations import SentimentName

ANSWER_READ_TIMEOUT: Final = 60.0
"""Seconds: a language model takes its time."""


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


def answer(question: str, top_k: int = 3) -> Call[Answer]:
    """Suggest how to help a patient, grounded in the `top_k` (1 to 20) nearest conversations.

    Waits up to 60 s. Sent again only when the server did no work: a language model charges each time.
    """
    request = validated(AnswerRequest, {"question": question, "top_k": top_k})
    return Call(
        method="POST",
        path="/api/v1/answers",
        content=request.model_dump_json().encode(),
        parse=Answer.model_validate_json,
        retry=Retry.WHEN_NOT_STARTED,
        read_timeout=ANSWER_READ_TIMEOUT,
    )
