"""Whether the vector index holds what MySQL holds: for users conversation by conversation, for the worker by unit."""

from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from mh_common.models.base import MAX_BULK_ROWS, ConversationId, WireModel
from mh_common.units import IndexStatus, Ordinal, SourceId, UnitKey, UnitKind

INTERNAL_INDEX = "/internal/index"
"""Path below which the worker reports and asks; no gateway forwards it."""

MAX_VERSIONS = 5000
"""Most units in one page for reconciliation."""


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


class WireUnit(BaseModel):
    """A unit of the index, as requests and answers name it."""

    kind: UnitKind = Field(description="What the source is.")
    source_id: SourceId
    ordinal: Ordinal = Field(description="The unit's place in its source, from 0; a conversation is one unit.")

    @property
    def key(self) -> UnitKey:
        """Which unit it is."""
        return UnitKey(self.kind, self.source_id, self.ordinal)


class IndexOutcome(WireUnit, WireModel):
    """The worker's report on one unit."""

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


class UnitVersion(WireUnit):
    """Which version of a unit is the present one; null: the unit does not exist."""

    version: int | None


class IndexReportAnswer(BaseModel):
    """The present versions of the reported units, in the order of the report.

    A version other than the reported one tells the worker to go round again; null tells it to delete from the index.
    """

    versions: list[UnitVersion]


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


class QueuedUnit(WireUnit, WireModel):
    """A unit to index again."""


class UnitQueue(WireModel):
    """Units to index again; those that do not exist are deleted from the index."""

    units: list[QueuedUnit] = Field(min_length=1, max_length=MAX_BULK_ROWS)


class PresentVersion(WireUnit):
    """A unit that exists, its present version, and what its index state says.

    The state tells reconciliation damage from what is merely under way: a pending unit is left alone for a while, and a
    failed one that the index does not hold is as it should be.
    """

    version: int
    status: IndexStatus
    queued_at: AwareDatetime = Field(description="When the present version was queued.")


class UnitPosition(BaseModel):
    """Where a page of one kind's units ends: a source, and the ordinal of a unit in it."""

    source_id: SourceId
    ordinal: Ordinal

    def of(self, kind: str) -> UnitKey:
        """Return the unit there."""
        return UnitKey(kind, self.source_id, self.ordinal)


class UnitVersions(BaseModel):
    """One page of the units of one kind, by source and ordinal."""

    items: list[PresentVersion]
    next_after: UnitPosition | None = Field(
        description="Give it as `after` and `after_ordinal` for the next page; null on the last one."
    )
