"""Search and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict, Unpack

from mh_common.models import Answer, AnswerRequest, SearchRequest, SearchResult, Sentiment

from mh_client._base import Call, Retry, validated
from mh_client.resources.conversations import SentimentName

ANSWER_READ_TIMEOUT: Final = 60.0
"""Seconds: a language model takes its time."""


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
