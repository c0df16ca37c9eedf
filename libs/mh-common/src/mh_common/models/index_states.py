"""The state of the vector index: by conversation for users, by unit for the worker."""

from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from mh_common.models.base import MAX_BULK_ROWS, ConversationId, WireModel
from mh_common.units import IndexStatus, Ordinal, SourceId, UnitKey, UnitKind

INTERNAL_INDEX = "/internal/index"
"""Path prefix of the routes for the worker; no gateway forwards it."""

MAX_VERSIONS = 5000
"""Most units in one page for reconciliation."""


class IndexState(BaseModel):
    """Index state of one conversation."""

    conversation_id: int
    status: IndexStatus
    version: int = Field(description="The conversation's current version.")
    indexed_version: int | None = Field(description="The version in the index; null if none has been indexed yet.")
    reason: str | None = Field(description="Why indexing failed, in plain words; null unless status is failed.")
    attempts: int = Field(description="Reports of the worker since the last change of content.")
    queued_at: AwareDatetime = Field(description="When the current version was queued.")
    indexed_at: AwareDatetime | None = Field(description="When the indexed version was written to the index.")
    lag_seconds: float = Field(
        ge=0, description="From queued to indexed; while pending or failed, from queued until now."
    )


class WireUnit(BaseModel):
    """A unit of the index, in requests and responses."""

    kind: UnitKind = Field(description="Kind of the source, such as conversation.")
    source_id: SourceId
    ordinal: Ordinal = Field(description="The unit's place in its source, from 0; a conversation is one unit.")

    @property
    def key(self) -> UnitKey:
        """The unit's key."""
        return UnitKey(self.kind, self.source_id, self.ordinal)


class IndexOutcome(WireUnit, WireModel):
    """The worker's report on one unit."""

    version: int = Field(ge=1, description="The version that was read and written, or that failed.")
    status: IndexStatus = Field(description="indexed or failed")
    reason: str | None = Field(
        default=None,
        max_length=500,
        description="Why indexing failed, without any text of the row; only if status is failed.",
    )

    @model_validator(mode="after")
    def _is_an_outcome(self) -> Self:
        if self.status is IndexStatus.PENDING:
            raise ValueError("status must be indexed or failed")
        if (self.reason is None) == (self.status is IndexStatus.FAILED):
            raise ValueError("reason is required if status is failed, and not allowed otherwise")
        return self


class IndexReport(WireModel):
    """Outcomes of one job."""

    outcomes: list[IndexOutcome] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class UnitVersion(WireUnit):
    """The current version of a unit; null if the unit does not exist."""

    version: int | None


class IndexReportAnswer(BaseModel):
    """The current versions of the reported units, in the order of the report.

    If a version differs from the reported one, the worker indexes the unit again; if it is null, the worker deletes the
    unit from the index.
    """

    versions: list[UnitVersion]


class FailureCount(BaseModel):
    """Conversations whose indexing failed for one reason."""

    reason: str
    count: int


class IndexSummary(BaseModel):
    """Index state of all conversations."""

    total: int
    pending: int
    indexed: int
    failed: int
    oldest_pending_at: AwareDatetime | None = Field(
        description="When the oldest pending conversation was queued; null if none is pending."
    )
    lag_seconds: float = Field(
        ge=0, description="Time since the oldest pending conversation was queued; 0 if none is pending."
    )
    outbox_depth: int = Field(description="Changes that are not in the job queue yet.")
    oldest_outbox_at: AwareDatetime | None = Field(
        description="When the oldest of these was written; null if there are none."
    )
    failures: list[FailureCount] = Field(description="The 20 most frequent reasons, most frequent first.")


class IndexFailurePage(BaseModel):
    """One page of the conversations whose indexing failed, by id."""

    items: list[IndexState]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class IndexQueue(WireModel):
    """Conversations to index again; those that do not exist are deleted from the index."""

    ids: list[ConversationId] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class IndexQueued(BaseModel):
    """Number of conversations or units queued."""

    queued: int


class QueuedUnit(WireUnit, WireModel):
    """A unit to index again."""


class UnitQueue(WireModel):
    """Units to index again; those that do not exist are deleted from the index."""

    units: list[QueuedUnit] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class CurrentVersion(WireUnit):
    """A unit that exists, its present version, and what its index state says.

    From the state, reconciliation can tell faults from work in progress: a pending unit is skipped for a while, and a
    failed unit is expected to be missing from the index.
    """

    version: int
    status: IndexStatus
    queued_at: AwareDatetime = Field(description="When the current version was queued.")


class UnitPosition(BaseModel):
    """The last unit of a page of one kind: its source, and its ordinal in it."""

    source_id: SourceId
    ordinal: Ordinal

    def of(self, kind: str) -> UnitKey:
        """Return the key of this unit."""
        return UnitKey(kind, self.source_id, self.ordinal)


class UnitVersions(BaseModel):
    """One page of the units of one kind, by source and ordinal."""

    items: list[CurrentVersion]
    next_after: UnitPosition | None = Field(
        description="Pass it as `after` and `after_ordinal` for the next page; null on the last one."
    )
