"""Conversations, lists of them and statistics."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mh_common.fields import FoundAdvice, Origin, ReviewState, RiskLevel, Sentiment
from mh_common.models.base import (
    MAX_BULK_ROWS,
    UNSET,
    AtMost,
    Author,
    Category,
    ConversationId,
    ConversationText,
    Day,
    ImportTag,
    OneOf,
    SourceUrl,
    WireModel,
)
from mh_common.sentiments import parse_sentiment
from mh_common.text import as_read
from mh_common.units import IndexStatus

SentSentiment = Annotated[Sentiment, BeforeValidator(parse_sentiment)]
"""A sentiment as people write it: pos, neg, neu, 1, 0 or -1 as well, in any letter case."""
_SENTIMENT = "In any letter case; pos, neg, neu, 1 (positive), 0 and -1 (negative) are accepted too."


class ConversationDetails(BaseModel):
    """Optional metadata of a conversation."""

    source_url: str | None = Field(default=None, description="URL of the source: http or https.")
    source_date: date | None = Field(default=None, description="Date of the source.")
    category: str | None = Field(default=None, description="Topic.")
    author: str | None = Field(default=None, description="Author.")
    import_tag: str | None = Field(default=None, description="Tag of the import that added it; no edit changes it.")


class ConversationMetadata(ConversationDetails):
    """`ConversationDetails`, and what the platform itself, or a curator, found out about a conversation."""

    risk_level: RiskLevel | None = Field(
        default=None,
        description="Highest risk that screening noticed in question and answer when the current version was indexed. "
        "null: not screened, or not yet. For review; no diagnosis.",
    )
    unsafe_advice: FoundAdvice | None = Field(
        default=None,
        description="What kind of advice that can do harm the answer seems to give: that of the first such sentence. "
        "none: nothing was noticed. null: not screened, or not yet. For review; it may be wrong.",
    )

    origin: Origin | None = Field(
        default=None,
        description="How it was added. import: by an import. person: by somebody signed in. api: by a program with an "
        "API key, or without accounts. null: by an earlier release or another program.",
    )
    review_state: ReviewState = Field(
        default=ReviewState.UNREVIEWED,
        description="What a curator decided about its question and answer; a change of either sets it back to "
        "unreviewed. Answers never rest on what was rejected.",
    )


class _DetailsInput(WireModel):
    """`ConversationDetails` as sent by a client, except the tag of an import; null means no value."""

    source_url: SourceUrl | None = Field(
        default=None, description="URL of the source, http or https; up to 2,048 characters."
    )
    source_date: Day | None = Field(
        default=None, description="Date of the source, such as 2026-03-01; 2026.03.01 and 2026/03/01 are accepted too."
    )
    category: Category | None = Field(default=None, description="Topic: up to 64 characters on one line.")
    author: Author | None = Field(default=None, description="Author: up to 128 characters on one line.")


EDITABLE_DETAILS: Final = tuple(_DetailsInput.model_fields)
"""The `ConversationDetails` that a client can send."""


_BY_REVIEW: Final = "is set by PUT /api/v1/conversations/{id}/review; leave it out"
SET_BY: Final = {
    "created_by": "is set by the platform to the caller; leave it out",
    "updated_by": "is set by the platform to the caller; leave it out",
    "origin": "is set by the platform, by who adds the conversation and by which route; leave it out",
    **dict.fromkeys(("review_state", "reviewed_by", "reviewed_at"), _BY_REVIEW),
}
"""Fields of a conversation that nobody sends as a part of it, with what sets them."""


class _Content(WireModel):
    question: ConversationText = Field(description="What the patient asked: 1 to 1,000,000 characters after trimming.")
    answer: ConversationText = Field(description="What the counselor answered: 1 to 1,000,000 characters.")
    question_sentiment: SentSentiment = Field(description=_SENTIMENT)
    answer_sentiment: SentSentiment = Field(description=_SENTIMENT)


class ConversationCreate(_DetailsInput, _Content):
    """A conversation to create, or the complete new content of one to replace."""

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


class _ContentUpdate(WireModel):
    question: ConversationText = Field(default=UNSET, description="New question; unchanged if omitted.")
    answer: ConversationText = Field(default=UNSET, description="New answer; unchanged if omitted.")
    question_sentiment: SentSentiment = Field(default=UNSET, description="Unchanged if omitted.")
    answer_sentiment: SentSentiment = Field(default=UNSET, description="Unchanged if omitted.")


class ConversationUpdate(_DetailsInput, _ContentUpdate):
    """The fields of a conversation to change, at least one; omitted fields are unchanged.

    null clears `source_url`, `source_date`, `category` or `author`; for the others it is the same as leaving them out.
    """

    null_is_a_value: ClassVar[frozenset[str]] = frozenset(EDITABLE_DETAILS)

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
        """Return the fields that were set, by name."""
        return self.model_dump(exclude_unset=True)


class _Stored(BaseModel):
    id: int = Field(description="Primary key; never reused, not even after a delete.")
    version: int = Field(description="1 when created, incremented by each change of content.")
    created_at: AwareDatetime = Field(description="UTC, microseconds.")
    updated_at: AwareDatetime = Field(description="UTC, microseconds; changes only when the content does.")
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    index_status: IndexStatus = Field(description="Whether the current version is searchable.")
    created_by: int | None = Field(
        default=None,
        description="Id of the account that added it, which may be gone by now; null without accounts and before them.",
    )
    updated_by: int | None = Field(
        default=None, description="Id of the account that made the current version, as `created_by`."
    )
    reviewed_by: int | None = Field(default=None, description="Id of the account that reviewed it, as `created_by`.")
    reviewed_at: AwareDatetime | None = Field(default=None, description="When it was reviewed; null: unreviewed.")


class Conversation(ConversationMetadata, _Stored):
    """A question and its answer as stored."""

    def as_read(self) -> Self:
        """Return it with the texts that search reads and shows: plain text. Not to be applied twice."""
        return self.model_copy(update={"question": as_read(self.question), "answer": as_read(self.answer)})


class ConversationPage(BaseModel):
    """One page of a list."""

    items: list[Conversation]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")
    total: int | None = Field(
        default=None, description="Number of conversations that match the filters; only with `include_total`."
    )


class ConversationReview(WireModel):
    """What a curator decided about a conversation."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"review_state": "approved"}]})

    review_state: OneOf[ReviewState] = Field(description="unreviewed takes a decision back.")


class BulkReview(ConversationReview):
    """What a curator decided about several conversations; ids that do not exist are ignored."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"ids": [17, 18], "review_state": "approved"}]}
    )

    ids: Annotated[list[ConversationId], AtMost(MAX_BULK_ROWS, least=1)]


class BulkReviewed(BaseModel):
    """How many conversations a review concerned."""

    found: int = Field(description="Conversations with one of these ids.")
    changed: int = Field(description="Those of them that had another state before.")


class ConversationVersion(BaseModel):
    """The content of a conversation in one version."""

    version: int
    changed_at: AwareDatetime = Field(description="When this version was made.")
    changed_by: int | None = Field(
        description="Id of the account that made it; null without accounts, and before there were any."
    )
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    source_url: str | None
    source_date: date | None
    category: str | None
    author: str | None


class ConversationVersionPage(BaseModel):
    """One page of a conversation's versions, newest first, beginning with the current one."""

    items: list[ConversationVersion]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class OnDuplicate(StrEnum):
    """What becomes of a row whose question and answer are there already."""

    ADD = "add"
    SKIP = "skip"
    UPDATE = "update"


class RowOutcome(StrEnum):
    """What became of a row of a bulk request."""

    ADDED = "added"
    UPDATED = "updated"
    SKIPPED = "skipped"


class BulkOptions(WireModel):
    """How the conversations of a bulk request are stored."""

    on_duplicate: OneOf[OnDuplicate] = Field(
        default=OnDuplicate.ADD,
        description="What becomes of a row whose question and answer are stored already, or stand in an earlier row of "
        "this request. They are the same in Unicode's normal form C, whatever their line ends and the blanks around "
        "them; letter case and mark-up count. add: it is added all the same. skip: it is left out. update: the stored "
        "conversation takes the sentiments and details that the row gives, where they differ.",
    )
    import_tag: ImportTag | None = Field(
        default=None,
        description="Name of the import that these rows belong to: up to 128 characters on one line. The conversations "
        "that are added carry it, and `/undo-import` takes them back.",
    )
    dry_run: bool = Field(default=False, description="Only say what would become of each row; answered with 200.")


class _BulkItems(WireModel):
    items: Annotated[list[ConversationCreate], AtMost(MAX_BULK_ROWS, least=1)]


class BulkCreate(BulkOptions, _BulkItems):
    """Conversations to create: all of them or, if one is invalid, none."""


class BulkCreated(BaseModel):
    """What became of each row, in the order of the request."""

    ids: list[int] = Field(
        description="Id of the new conversation or, for a duplicate that was not added, of the one that was there. "
        "Empty in a dry run."
    )
    outcomes: list[RowOutcome] = Field(default=[], description="What became of the row.")


class ImportUndo(WireModel):
    """An import to take back."""

    import_tag: ImportTag = Field(description="Tag of the import.")
    edited: bool = Field(default=False, description="Delete conversations that were edited since, too.")
    dry_run: bool = Field(default=False, description="Only count; delete nothing.")


class ImportUndone(BaseModel):
    """What a request to take an import back has done, and what it left."""

    deleted: int = Field(description="Conversations that this request deleted.")
    remaining: int = Field(description="Conversations still to be deleted, by the same request again.")
    edited: int = Field(description="Conversations of the import that are kept because they were edited since.")
    edited_ids: list[int] = Field(description="Their ids; at most the first 100.")
    updated: int = Field(
        description="Conversations that were there before and that the import updated. They keep what it gave them."
    )
    updated_ids: list[int] = Field(description="Their ids; at most the first 100.")


class BulkDelete(WireModel):
    """Conversations to delete; ids that do not exist are ignored."""

    ids: Annotated[list[ConversationId], AtMost(MAX_BULK_ROWS, least=1)]


class BulkDeleted(BaseModel):
    """How many conversations were deleted."""

    deleted: int


class SentimentPairCount(BaseModel):
    """Number of conversations with this pair of sentiments."""

    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    count: int


class MonthCount(BaseModel):
    """Number of conversations created in one month."""

    month: str = Field(description="Year and month in UTC, for example 2026-03.")
    count: int


class ConversationStats(BaseModel):
    """Counts over the whole data set. Every sentiment, status, level and kind is listed, also with a count of 0."""

    total: int
    question_sentiment: dict[Sentiment, int]
    answer_sentiment: dict[Sentiment, int]
    pairs: list[SentimentPairCount]
    per_month: list[MonthCount]
    index_status: dict[IndexStatus, int]
    risk_level: dict[RiskLevel, int] = Field(default={}, description="The rest of `total` is not screened.")
    unsafe_advice: dict[FoundAdvice, int] = Field(default={}, description="The rest of `total` is not screened.")
    review_state: dict[ReviewState, int] = Field(default={}, description="Each conversation has one.")
