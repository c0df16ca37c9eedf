"""The wire models: what travels between the services, the client and their users."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

MAX_TEXT_LENGTH = 1_000_000
"""Longest question or answer in characters, after trimming."""

MAX_BULK_ROWS = 1000
"""Most conversations in one bulk request."""

MAX_VERSIONS = 5000
"""Most ids and versions in one page for reconciliation."""

MAX_ID = 2**63 - 1


class Sentiment(StrEnum):
    """How a text sounds. A filter, not a clinical signal."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class IndexStatus(StrEnum):
    """Whether the vector index holds a conversation's present version."""

    PENDING = "pending"
    INDEXED = "indexed"
    FAILED = "failed"


class IndexRunKind(StrEnum):
    """What a run over the whole index does."""

    RECONCILE = "reconcile"
    """Compares the index with the conversations and queues the differences."""

    REBUILD = "rebuild"
    """Fills a new index beside the live one and switches."""


class IndexRunStatus(StrEnum):
    """How far a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


def _without_nul(text: str) -> str:
    """Refuse what not every store keeps. (Halves of surrogate pairs, which have no UTF-8 form, pydantic refuses.)"""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character (U+0000)")
    return text


ConversationText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH),
    AfterValidator(_without_nul),
]
QueryText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000), AfterValidator(_without_nul)
]
ConversationId = Annotated[int, Field(ge=1, le=MAX_ID)]


def _iso_8601(value: object) -> object:
    # Pydantic alone takes bare numbers for seconds since 1970.
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise ValueError("must be an ISO 8601 time with its zone, for example 2026-03-01T00:00:00Z")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


UtcTime = Annotated[AwareDatetime, BeforeValidator(_iso_8601), AfterValidator(_to_utc)]
"""A moment given with its zone, in UTC."""

RunOwner = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
RunReason = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_without_nul)]


# A field of a partial update that was not sent. Pydantic does not check defaults, and a null that is sent is refused.
_LEFT_OUT: Any = None


class WireModel(BaseModel):
    """Base of what clients send: a field that nobody knows is an error, not silence."""

    model_config = ConfigDict(extra="forbid")


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

    question: ConversationText = Field(default=_LEFT_OUT, description="New question; left out: unchanged.")
    answer: ConversationText = Field(default=_LEFT_OUT, description="New answer; left out: unchanged.")
    question_sentiment: Sentiment = Field(default=_LEFT_OUT, description="Left out: unchanged.")
    answer_sentiment: Sentiment = Field(default=_LEFT_OUT, description="Left out: unchanged.")

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


class IndexState(BaseModel):
    """How far the vector index is with one conversation."""

    conversation_id: int
    status: IndexStatus
    version: int = Field(description="The conversation's present version.")
    indexed_version: int | None = Field(description="The version that search finds; null before the first.")
    reason: str | None = Field(description="Why indexing failed, in plain words; null unless status is failed.")
    attempts: int = Field(description="Reports of the worker since the last change of content.")
    queued_at: AwareDatetime = Field(description="When the present version was queued.")
    indexed_at: AwareDatetime | None = Field(description="When the indexed version was written to the index.")
    lag_seconds: float = Field(
        ge=0, description="From queued to indexed; while pending or failed, from queued until now."
    )


class IndexOutcome(WireModel):
    """The worker's report on one conversation."""

    conversation_id: ConversationId
    version: int = Field(ge=1, description="The version that was read and written, or that failed.")
    status: IndexStatus = Field(description="indexed or failed")
    reason: str | None = Field(
        default=None, max_length=500, description="For failed: why, without any text of the row."
    )

    @model_validator(mode="after")
    def _is_an_outcome(self) -> Self:
        if self.status is IndexStatus.PENDING:
            raise ValueError("status must be indexed or failed")
        if (self.reason is None) == (self.status is IndexStatus.FAILED):
            raise ValueError("give a reason with failed, and only then")
        return self


class IndexReport(WireModel):
    """Outcomes of one job."""

    outcomes: list[IndexOutcome] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class ConversationVersion(BaseModel):
    """Which version of a conversation is the present one; null: the conversation does not exist."""

    conversation_id: int
    version: int | None


class IndexReportAnswer(BaseModel):
    """The present versions of the reported conversations, in the order of the report.

    A version other than the reported one tells the worker to go round again; null tells it to delete from the index.
    """

    versions: list[ConversationVersion]


class FailureCount(BaseModel):
    """Conversations whose indexing failed for one reason."""

    reason: str
    count: int


class IndexSummary(BaseModel):
    """How far the index is with the whole data set."""

    total: int
    pending: int
    indexed: int
    failed: int
    oldest_pending_at: AwareDatetime | None = Field(
        description="When the conversation that waits longest was queued; null when none waits."
    )
    lag_seconds: float = Field(ge=0, description="Age of the oldest pending conversation; 0 when none waits.")
    outbox_depth: int = Field(description="Messages that the job queue has not taken yet, one a conversation.")
    oldest_outbox_at: AwareDatetime | None = Field(description="When the oldest of these was written; null: none.")
    failures: list[FailureCount] = Field(description="The 20 most frequent reasons, most frequent first.")


class IndexFailurePage(BaseModel):
    """One page of the conversations whose indexing failed, by id."""

    items: list[IndexState]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class IndexQueue(WireModel):
    """Conversations to index again; those that do not exist are deleted from the index."""

    ids: list[ConversationId] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class IndexQueued(BaseModel):
    """How many conversations were queued."""

    queued: int


class PresentVersion(BaseModel):
    """A conversation that exists, its present version, and what its index state says.

    The state tells reconciliation damage from what is merely under way: a pending row is left alone for a while, and a
    failed one that the index does not hold is as it should be.
    """

    conversation_id: int
    version: int
    status: IndexStatus
    queued_at: AwareDatetime = Field(description="When the present version was queued.")


class ConversationVersions(BaseModel):
    """One page of ids and versions, by id."""

    items: list[PresentVersion]
    next_after: int | None = Field(description="Give it as `after` for the next page; null on the last one.")


class IndexSyncRequest(WireModel):
    """What a reconciliation looks at."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"since": "2026-03-02T00:00:00Z"}]})

    since: UtcTime | None = Field(
        default=None,
        description="Only conversations changed at or after this time. Orphans are then not looked for: what was "
        "deleted has no time.",
    )
    force: bool = Field(default=False, description="Queue every conversation looked at, not only the differences.")


class IndexRunCreate(WireModel):
    """A run that its creator carries out: no message is sent for it."""

    kind: IndexRunKind


class IndexRunClaim(WireModel):
    """Who wants to carry out a run."""

    owner: RunOwner = Field(description="A name that no other worker has, nor this one after a restart.")


class RunCounts(WireModel):
    """What a run found so far. Each is a total, not an addition."""

    checked: int = Field(default=0, ge=0, description="Conversations compared.")
    missing: int = Field(default=0, ge=0, description="Conversations that the index did not hold.")
    stale: int = Field(default=0, ge=0, description="Conversations that the index held in another version or model.")
    orphaned: int = Field(default=0, ge=0, description="Entries of the index whose conversation does not exist.")
    repaired: int = Field(default=0, ge=0, description="Conversations and orphans queued.")


class IndexRunProgress(RunCounts):
    """The holder's word on its run; it extends the holder's lease."""

    owner: RunOwner
    status: IndexRunStatus = Field(description="running, done or failed")
    reason: RunReason | None = Field(
        default=None, description="For failed: why, in plain words and without any text of a conversation."
    )

    @model_validator(mode="after")
    def _is_a_progress(self) -> Self:
        if self.status is IndexRunStatus.QUEUED:
            raise ValueError("status must be running, done or failed")
        if (self.reason is None) == (self.status is IndexRunStatus.FAILED):
            raise ValueError("give a reason with failed, and only then")
        return self


class IndexRun(BaseModel):
    """A run over the whole index: asked for, under way or over."""

    id: int
    kind: IndexRunKind
    status: IndexRunStatus
    force: bool
    since: AwareDatetime | None
    requested_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    checked: int
    missing: int
    stale: int
    orphaned: int
    repaired: int
    reason: str | None = Field(description="Why the run failed, in plain words; null unless status is failed.")


class IndexRunList(BaseModel):
    """The latest runs, newest first."""

    items: list[IndexRun]


class SearchRequest(WireModel):
    """A search by meaning."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "patient cannot sleep before exams", "limit": 5}]},
    )

    query: QueryText = Field(description="Free text, 1 to 8,000 characters after trimming.")
    limit: int = Field(default=10, ge=1, le=100, description="Most hits to return.")
    similarity_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Leave out hits whose score is below this."
    )
    question_sentiment: list[Sentiment] | None = Field(default=None, min_length=1, description="Any of these.")
    answer_sentiment: list[Sentiment] | None = Field(default=None, min_length=1, description="Any of these.")
    created_after: AwareDatetime | None = Field(default=None, description="Created at or after this time.")
    created_before: AwareDatetime | None = Field(default=None, description="Created before this time.")
    updated_after: AwareDatetime | None = Field(default=None, description="Updated at or after this time.")
    updated_before: AwareDatetime | None = Field(default=None, description="Updated before this time.")
    ids: list[ConversationId] | None = Field(
        default=None, min_length=1, max_length=MAX_BULK_ROWS, description="Only among these conversations."
    )


class SearchHit(BaseModel):
    """A conversation near the query, with its present text."""

    id: int
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    score: float = Field(ge=0, le=1, description="Similarity of query and question; 1 is the same text.")


class SearchResult(BaseModel):
    """Hits, best first."""

    hits: list[SearchHit]
    total_hits: int = Field(description="Number of hits returned.")
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being built anew in place and does not hold every conversation yet: hits may be "
        "missing. None is wrong.",
    )


class AnswerRequest(WireModel):
    """A question on how to help a patient."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question": "How do I help a patient who panics on the bus?", "top_k": 3}]},
    )

    question: QueryText = Field(description="Free text, 1 to 8,000 characters after trimming.")
    top_k: int = Field(default=3, ge=1, le=20, description="Number of conversations to ground the answer in.")


class Source(BaseModel):
    """A conversation that the answer rests on. Citation [1] in the answer names the first source."""

    id: int
    question: str
    answer: str
    score: float = Field(ge=0, le=1)


class Usage(BaseModel):
    """Tokens that the language model counted; all 0 where none was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Answer(BaseModel):
    """A suggestion and what it is grounded in."""

    answer: str
    sources: list[Source]
    model: str = Field(
        description="The language model; `extractive` where sentences of the sources are quoted without a model; "
        "`none` where nothing relevant was found."
    )
    usage: Usage
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being built anew in place and does not hold every conversation yet: sources may be "
        "missing. None is wrong.",
    )


class FieldProblem(BaseModel):
    """One thing wrong with the request."""

    field: str = Field(description="Path of the field, for example items.3.question; empty for the whole body.")
    message: str
    row: int | None = Field(default=None, description="In bulk requests: the row, counted from 0.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it (application/problem+json)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


class DependencyHealth(BaseModel):
    """One dependency's answer to a readiness check."""

    ok: bool
    detail: str | None = Field(default=None, description="What is wrong, in plain words; null when ok.")


class Readiness(BaseModel):
    """Whether a service can do its work now, with each dependency by name."""

    ready: bool
    checked_at: datetime
    dependencies: dict[str, DependencyHealth]
