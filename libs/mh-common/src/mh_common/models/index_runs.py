"""Runs over the whole index: reconciliation and rebuild."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mh_common.models.base import OneOf, UtcTime, WireModel, reject_blank, reject_nul

RunOwner = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]

RunReason = Annotated[
    str, StringConstraints(min_length=1, max_length=500), AfterValidator(reject_nul), AfterValidator(reject_blank)
]


class IndexRunKind(StrEnum):
    """What a run over the whole index does."""

    RECONCILE = "reconcile"
    """Compares the index with the conversations and queues the differences."""

    REBUILD = "rebuild"
    """Builds a new index and switches to it; on Milvus Lite, rebuilds it in place."""


class IndexRunStatus(StrEnum):
    """The state of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class IndexSyncRequest(WireModel):
    """Options of a reconciliation."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"since": "2026-03-02T00:00:00Z"}]})

    since: UtcTime | None = Field(
        default=None,
        description="Compare only conversations changed at or after this time. Orphans are not searched for then, "
        "because deletions have no timestamp.",
    )
    force: bool = Field(default=False, description="Queue every conversation compared, not only the differences.")


class IndexRunCreate(WireModel):
    """A run that its creator executes itself: no job is queued for it."""

    kind: OneOf[IndexRunKind]


class IndexRunClaim(WireModel):
    """The worker that wants to execute a run."""

    owner: RunOwner = Field(description="A unique name, which changes when the worker restarts.")


class RunCounts(WireModel):
    """What a run has found so far. Totals, not increments."""

    checked: int = Field(default=0, ge=0, description="Conversations compared.")
    missing: int = Field(default=0, ge=0, description="Conversations missing from the index.")
    stale: int = Field(default=0, ge=0, description="Conversations indexed with another version or embedding model.")
    orphaned: int = Field(default=0, ge=0, description="Index entries whose conversation does not exist.")
    repaired: int = Field(default=0, ge=0, description="Conversations and orphans queued.")


class IndexRunProgress(RunCounts):
    """A worker's progress report on its run; it extends the worker's lease."""

    owner: RunOwner
    status: OneOf[IndexRunStatus] = Field(description="running, done or failed")
    reason: RunReason | None = Field(
        default=None,
        description="Why the run failed, without any text of a conversation; only if status is failed.",
    )

    @model_validator(mode="after")
    def _is_a_progress(self) -> Self:
        if self.status is IndexRunStatus.QUEUED:
            raise ValueError("status must be running, done or failed")
        if (self.reason is None) == (self.status is IndexRunStatus.FAILED):
            raise ValueError("reason is required if status is failed, and not allowed otherwise")
        return self


class IndexRun(BaseModel):
    """A run over the whole index: queued, running or finished."""

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
    reason: str | None = Field(description="Why the run failed; null unless status is failed.")


class IndexRunList(BaseModel):
    """The latest runs, newest first."""

    items: list[IndexRun]
