"""Search hits, as returned by rag-api."""

from datetime import UTC, datetime
from typing import Any

from mh_common.models import SearchHit, Sentiment


def search_hit(key: int, question: str, **values: Any) -> SearchHit:
    """Return a search hit for a conversation with this id; `values` override its other fields."""
    created = datetime(2026, 3, 1, tzinfo=UTC)
    times = {"created_at": created, "updated_at": created}
    sentiments = dict.fromkeys(("question_sentiment", "answer_sentiment"), Sentiment.NEUTRAL)
    others = {"version": 1, "answer": "a", "score": 0.5, "relevance": 0.5}
    return SearchHit.model_validate({"id": key, "question": question, **others, **times, **sentiments, **values})
