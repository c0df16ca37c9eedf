"""The filters that lists, exports and searches share, as a caller writes them."""

from collections.abc import Sequence
from datetime import datetime
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
    ids: Sequence[int] | None
