"""Types of conversation fields and filters, as accepted from the caller."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, TypedDict

from mh_common.fields import FoundAdvice, Origin, ReviewState, RiskLevel, Sentiment

SentimentName = Literal["positive", "negative", "neutral"]
RiskLevelName = Literal["none", "low", "elevated", "acute"]
FoundAdviceName = Literal[
    "none",
    "medication",
    "diagnosis",
    "minimising",
    "ultimatum",
    "frightening",
    "silence",
    "secrecy",
    "leaving_alone",
    "delay",
    "no_harm_contract",
    "encouraging_harm",
]
OriginName = Literal["import", "person", "api", "connection"]
ReviewStateName = Literal["unreviewed", "approved", "rejected"]


class FieldFilters(TypedDict, total=False):
    """Filters, one for each of `mh_common.fields.FILTERS`; None means no filter.

    Times must be timezone-aware; `after` is inclusive, `before` exclusive.
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
    import_tag: str | Sequence[str] | None
    import_tag_empty: bool | None
    risk_level: RiskLevel | RiskLevelName | Sequence[RiskLevel | RiskLevelName] | None
    risk_level_empty: bool | None
    unsafe_advice: FoundAdvice | FoundAdviceName | Sequence[FoundAdvice | FoundAdviceName] | None
    unsafe_advice_empty: bool | None
    origin: Origin | OriginName | Sequence[Origin | OriginName] | None
    origin_empty: bool | None
    review_state: ReviewState | ReviewStateName | Sequence[ReviewState | ReviewStateName] | None
    ids: Sequence[int] | None


class Details(TypedDict, total=False):
    """Optional metadata of a conversation that can be written; None means no value."""

    source_url: str | None
    source_date: date | None
    category: str | None
    author: str | None
