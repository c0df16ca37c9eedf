"""Conversations, their lists and the statistics over them."""

from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from mh_common.fields import Sentiment
from mh_common.models.base import LEFT_OUT, MAX_BULK_ROWS, ConversationId, ConversationText, WireModel
from mh_common.models.index_states import IndexStatus


class ConversationCreate(WireModel):
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
                }
            ]
        },
    )

    question: ConversationText = Field(description="What the patient asked: 1 to 1,000,000 characters after trimming.")
    answer: ConversationText = Field(description="What the counselor answered: 1 to 1,000,000 characters.")
    question_sentiment: Sentiment
    answer_sentiment: Sentiment


class ConversationUpdate(WireModel):
    """The fields of a conversation to change; those left out stay as they are. At least one, and none may be null."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"question_sentiment": "neutral"}]})

    question: ConversationText = Field(default=LEFT_OUT, description="New question; left out: unchanged.")
    answer: ConversationText = Field(default=LEFT_OUT, description="New answer; left out: unchanged.")
    question_sentiment: Sentiment = Field(default=LEFT_OUT, description="Left out: unchanged.")
    answer_sentiment: Sentiment = Field(default=LEFT_OUT, description="Left out: unchanged.")

    @model_validator(mode="after")
    def _has_a_change(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        return self

    def changes(self) -> dict[str, Any]:
        """Return the fields that were given, by name."""
        return self.model_dump(exclude_unset=True)


class Conversation(BaseModel):
    """A question and its answer as stored."""

    id: int = Field(description="Key; never given to another conversation, not even after a delete.")
    version: int = Field(description="1 when created, one more at each change of content.")
    created_at: AwareDatetime = Field(description="UTC, microseconds.")
    updated_at: AwareDatetime = Field(description="UTC, microseconds; moves only when the content changes.")
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    index_status: IndexStatus = Field(description="Whether search finds the present version.")


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
