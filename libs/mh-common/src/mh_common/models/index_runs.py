"""Runs over the whole index: reconciliation and rebuild."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mh_common.models.base import UtcTime, WireModel, without_nul

RunOwner = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]

RunReason = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(without_nul)]


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
