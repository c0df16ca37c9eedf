"""Conversations, their lists and the statistics over them."""

from datetime import date
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from mh_common.fields import Sentiment
from mh_common.models.base import (
    LEFT_OUT,
    MAX_BULK_ROWS,
    Author,
    Category,
    ConversationId,
    ConversationText,
    Day,
    SourceUrl,
    WireModel,
)
from mh_common.units import IndexStatus


class ConversationDetails(BaseModel):
    """Where a conversation comes from and what it is about, as far as that is known."""

    source_url: str | None = Field(default=None, description="Address of the source: http or https.")
    source_date: date | None = Field(default=None, description="Day of the source.")
    category: str | None = Field(default=None, description="What it is about.")
    author: str | None = Field(default=None, description="Who wrote it.")


class _GivenDetails(WireModel):
    """`ConversationDetails` as a client gives them; null is none."""

    source_url: SourceUrl | None = Field(
        default=None, description="Address of the source, http or https; up to 2,048 characters."
    )
    source_date: Day | None = Field(
        default=None, description="Day of the source, such as 2026-03-01; 2026.03.01 and 2026/03/01 are taken as well."
    )
    category: Category | None = Field(default=None, description="What it is about: up to 64 characters on one line.")
    author: Author | None = Field(default=None, description="Who wrote it: up to 128 characters on one line.")


class _Content(WireModel):
    question: ConversationText = Field(description="What the patient asked: 1 to 1,000,000 characters after trimming.")
    answer: ConversationText = Field(description="What the counselor answered: 1 to 1,000,000 characters.")
    question_sentiment: Sentiment
    answer_sentiment: Sentiment


class ConversationCreate(_GivenDetails, _Content):
    """A conversation to add, and the whole new content of one that is replaced."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "question": "I lie awake for hours worrying about work. How do I switch off?",
                    "answer": "Try a fixed hour to write the worries down, well before bed.",
                    "question_sentiment": "negative",
                    "answer_sentiment": "neutral",
                    "source_url": "https://example.org/questions/42",
                    "source_date": "2021-01-01",
                    "category": "sleep",
                    "author": "Jane Doe",
                }
            ]
        },
    )


class _Change(WireModel):
    question: ConversationText = Field(default=LEFT_OUT, description="New question; left out: unchanged.")
    answer: ConversationText = Field(default=LEFT_OUT, description="New answer; left out: unchanged.")
    question_sentiment: Sentiment = Field(default=LEFT_OUT, description="Left out: unchanged.")
    answer_sentiment: Sentiment = Field(default=LEFT_OUT, description="Left out: unchanged.")


class ConversationUpdate(_GivenDetails, _Change):
    """The fields of a conversation to change; those left out stay as they are. At least one.

    null clears `source_url`, `source_date`, `category` or `author`; the others may not be null.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question_sentiment": "neutral"}, {"category": "sleep", "author": None}]},
    )

    @model_validator(mode="after")
    def _has_a_change(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        return self

    def changes(self) -> dict[str, Any]:
        """Return the fields that were given, by name."""
        return self.model_dump(exclude_unset=True)


class _Stored(BaseModel):
    id: int = Field(description="Key; never given to another conversation, not even after a delete.")
    version: int = Field(description="1 when created, one more at each change of content.")
    created_at: AwareDatetime = Field(description="UTC, microseconds.")
    updated_at: AwareDatetime = Field(description="UTC, microseconds; moves only when the content changes.")
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    index_status: IndexStatus = Field(description="Whether search finds the present version.")


class Conversation(ConversationDetails, _Stored):
    """A question and its answer as stored."""


class ConversationPage(BaseModel):
    """One page of a list."""

    items: list[Conversation]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")
    total: int | None = Field(default=None, description="Rows that match the filters; only with `include_total`.")


class BulkCreate(WireModel):
    """Conversations to add in one go: all of them or, when one is bad, none."""

    items: list[ConversationCreate] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class BulkCreated(BaseModel):
    """The new keys, in the order of the rows sent."""

    ids: list[int]


class BulkDelete(WireModel):
    """Conversations to delete; keys that do not exist are passed over."""

    ids: list[ConversationId] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class BulkDeleted(BaseModel):
    """How many of the named conversations existed and are gone now."""

    deleted: int


class SentimentPairCount(BaseModel):
    """Conversations that share both sentiments."""

    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    count: int


class MonthCount(BaseModel):
    """Conversations created in one month."""

    month: str = Field(description="Year and month in UTC, for example 2026-03.")
    count: int


class ConversationStats(BaseModel):
    """Counts over the whole data set. Every sentiment and status is named, with 0 where there is none."""

    total: int
    question_sentiment: dict[Sentiment, int]
    answer_sentiment: dict[Sentiment, int]
    pairs: list[SentimentPairCount]
    per_month: list[MonthCount]
    index_status: dict[IndexStatus, int]
