"""The fields of conversations, and filters by them, as a caller writes them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, TypedDict

from mh_common.fields import Sentiment

SentimentName = Literal["positive", "negative", "neutral"]


class FieldFilters(TypedDict, total=False):
    """Which conversations: one for each of `mh_common.fields.FILTERS`; None is the same as left out.

    Times must be aware; `after` includes the time itself, `before` does not.
    """

    question_sentiment: Sentiment | SentimentName | Sequence[Sentiment | SentimentName] | None
    answer_sentiment: Sentiment | SentimentName | Sequence[Sentiment | SentimentName] | None
    created_after: datetime | None
    created_before: datetime | None
    updated_after: datetime | None
    updated_before: datetime | None
    source_url: str | Sequence[str] | None
    source_url_empty: bool | None
    source_date_after: date | None
    source_date_before: date | None
    source_date_empty: bool | None
    category: str | Sequence[str] | None
    category_empty: bool | None
    author: str | Sequence[str] | None
    author_empty: bool | None
    ids: Sequence[int] | None


class Details(TypedDict, total=False):
    """What a conversation may have besides; None is none."""

    source_url: str | None
    source_date: date | None
    category: str | None
    author: str | None
