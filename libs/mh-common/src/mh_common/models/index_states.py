"""Index states: whether the vector index matches MySQL; for users by conversation, for the worker by unit."""

from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, model_validator

from mh_common.fields import FoundAdvice, RiskLevel
from mh_common.models.base import MAX_BULK_ROWS, AtMost, ConversationId, OneOf, WireModel
from mh_common.units import IndexStatus, Ordinal, SourceId, UnitKey, UnitKind

INTERNAL_INDEX = "/internal/index"
"""Path prefix of the worker's routes; the gateway does not forward it."""

MAX_SCREENED_BY = 64
"""Longest name of the rules of a screening, in characters."""

ScreenedBy = Annotated[str, StringConstraints(pattern=rf"^[\x21-\x7e]{{1,{MAX_SCREENED_BY}}}$")]
"""Which rules screened a text for risk and unsafe advice: other rules have another name."""

MAX_VERSIONS = 5000
"""Maximum number of units in one page of versions, for reconciliation."""


class IndexState(BaseModel):
    """The index state of a conversation."""

    conversation_id: int
    status: IndexStatus
    version: int = Field(description="The conversation's current version.")
    indexed_version: int | None = Field(description="The version in the index; null if none was indexed yet.")
    reason: str | None = Field(description="Why indexing failed; null unless status is failed.")
    attempts: int = Field(description="Attempts reported by the worker since the current version was queued.")
    queued_at: AwareDatetime = Field(description="When the current version was queued.")
    indexed_at: AwareDatetime | None = Field(description="When the indexed version was written to the index.")
    lag_seconds: float = Field(
        ge=0, description="Time from queued to indexed; while pending or failed, from queued until now."
    )
    screened_by: str | None = Field(
        default=None,
        description="The rules that screened it for risk and unsafe advice; null: not screened, or not yet.",
    )


class WireUnit(BaseModel):
    """The key of a unit in requests and responses."""

    kind: UnitKind = Field(description="Kind of the source.")
    source_id: SourceId
    ordinal: Ordinal = Field(description="The unit's position in its source, from 0; a conversation is one unit.")

    @property
    def key(self) -> UnitKey:
        """The key as a `UnitKey`."""
        return UnitKey(self.kind, self.source_id, self.ordinal)


class IndexOutcome(WireUnit, WireModel):
    """The outcome of indexing one unit, as reported by the worker."""

    version: int = Field(ge=1, description="The version that was indexed or failed.")
    status: OneOf[IndexStatus] = Field(description="indexed or failed")
    reason: str | None = Field(
        default=None, max_length=500, description="For failed: the reason, without any text of the row."
    )

    @model_validator(mode="after")
    def _is_an_outcome(self) -> Self:
        if self.status is IndexStatus.PENDING:
            raise ValueError("status must be indexed or failed")
        if (self.reason is None) == (self.status is IndexStatus.FAILED):
            raise ValueError("reason is required if status is failed, and not allowed otherwise")
        return self


class UnitScreening(WireUnit, WireModel):
    """What screening found in one unit, as reported by the worker. Without values: it is not screened.

    A worker of an earlier release reports no `unsafe_advice`: that is then not screened.
    """

    version: int = Field(ge=1, description="The version that was screened.")
    risk_level: OneOf[RiskLevel] | None = None
    unsafe_advice: OneOf[FoundAdvice] | None = None
    screened_by: ScreenedBy | None = Field(default=None, description="The rules that it was screened by.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.risk_level is None) != (self.screened_by is None):
            raise ValueError("risk_level and screened_by belong together: send both or neither")
        if self.unsafe_advice is not None and self.screened_by is None:
            raise ValueError("unsafe_advice needs screened_by: the rules that found it")
        return self


class IndexReport(WireModel):
    """The outcomes of one job, and what screening found in its units; a rebuild reports the latter alone."""

    outcomes: Annotated[list[IndexOutcome], AtMost(MAX_BULK_ROWS)] = Field(default=[])
    screenings: Annotated[list[UnitScreening], AtMost(MAX_BULK_ROWS)] = Field(default=[])

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.outcomes and not self.screenings:
            raise ValueError("must have at least one outcome or screening")
        return self


class UnitVersion(WireUnit):
    """The current version of a unit; null if the unit does not exist."""

    version: int | None


class IndexReportAnswer(BaseModel):
    """The current versions of the units with an outcome, in the order of the report.

    If a version differs from the reported one, the worker must index the unit again; if it is null, delete it.
    """

    versions: list[UnitVersion]


class FailureCount(BaseModel):
    """How many conversations failed to be indexed for a reason."""

    reason: str
    count: int


class IndexSummary(BaseModel):
    """The state of the index for the whole data set."""

    total: int
    pending: int
    indexed: int
    failed: int
    oldest_pending_at: AwareDatetime | None = Field(
        description="When the oldest pending conversation was queued; null if none is pending."
    )
    lag_seconds: float = Field(
        ge=0, description="How long the oldest pending conversation has been waiting; 0 if none is pending."
    )
    outbox_depth: int = Field(description="Outbox rows not yet published to the job queue.")
    oldest_outbox_at: AwareDatetime | None = Field(
        description="When the oldest outbox row was written; null if there is none."
    )
    failures: list[FailureCount] = Field(description="The 20 most frequent reasons, most frequent first.")


class IndexFailurePage(BaseModel):
    """One page of the conversations whose indexing failed, in the order of their ids."""

    items: list[IndexState]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page; null on the last page.")


class IndexQueue(WireModel):
    """Conversations to queue for indexing; those that do not exist are deleted from the index."""

    ids: Annotated[list[ConversationId], AtMost(MAX_BULK_ROWS, least=1)]


class IndexQueued(BaseModel):
    """How many conversations or units were queued."""

    queued: int


class QueuedUnit(WireUnit, WireModel):
    """A unit to queue for indexing."""


class UnitQueue(WireModel):
    """Units to queue for indexing; those that do not exist are deleted from the index."""

    units: Annotated[list[QueuedUnit], AtMost(MAX_BULK_ROWS, least=1)]


class CurrentVersion(WireUnit):
    """An existing unit, its current version, and its index status.

    From the status, reconciliation tells faults from work in progress: a pending unit is left alone for a while, and a
    failed one must be absent from the index. From the rules, it tells what other rules have screened.
    """

    version: int
    status: IndexStatus
    queued_at: AwareDatetime = Field(description="When the current version was queued.")
    screened_by: str | None = Field(default=None, description="The rules that screened it; null: it is not screened.")


class UnitPosition(BaseModel):
    """The position where a page of one kind's units ends: a source id and an ordinal."""

    source_id: SourceId
    ordinal: Ordinal

    def of(self, kind: str) -> UnitKey:
        """Return the key of the unit at this position."""
        return UnitKey(kind, self.source_id, self.ordinal)


class UnitVersions(BaseModel):
    """One page of the units of one kind, sorted by source and ordinal."""

    items: list[CurrentVersion]
    next_after: UnitPosition | None = Field(
        description="Pass it as `after` and `after_ordinal` to get the next page; null on the last page."
    )
