"""Where a run stands between two of its steps.

A run over the whole index is made of steps, each short enough for one job, so that other jobs pass between them.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from mh_common.models import IndexRunProgress, IndexRunStatus, RunCounts, RunOwner
from pydantic import BaseModel, ConfigDict, Field

STEP_S: Final = 10.0
"""Seconds of work after which a step ends at the next opportunity."""

MAX_REASON: Final = 500


class Phase(StrEnum):
    """What a rebuild is at. A reconciliation has the last phase only."""

    BEGIN = "begin"
    FILL = "fill"
    CATCH_UP = "catch_up"
    COMPARE = "compare"


class Checkpoint(BaseModel):
    """Where a run stands; what one message carries on to the next.

    Attributes:
        run_id: the run.
        owner: who holds its lease: the same for all of its steps, and for a step that is delivered again.
        phase, after: the rows up to this id are done in this phase.
        target: the collection that a rebuild fills.
        counts: what was found so far.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: Annotated[int, Field(ge=1)]
    owner: RunOwner
    phase: Phase = Phase.BEGIN
    after: Annotated[int, Field(ge=0)] = 0
    target: str | None = None
    counts: RunCounts = RunCounts()

    def moved(self, after: int, **found: int) -> Self:
        """Return the checkpoint behind `after`, with these numbers added to the counts."""
        counts = self.counts.model_copy(
            update={name: getattr(self.counts, name) + number for name, number in found.items()}
        )
        return self.model_copy(update={"after": after, "counts": counts})

    def entered(self, phase: Phase, target: str | None = None) -> Self:
        """Return the checkpoint at the beginning of another phase."""
        return self.model_copy(update={"phase": phase, "after": 0, "target": target or self.target})

    def progress(self, status: IndexRunStatus = IndexRunStatus.RUNNING, reason: str | None = None) -> IndexRunProgress:
        """Return the holder's word on the run."""
        return IndexRunProgress(
            owner=self.owner, status=status, reason=reason and reason[:MAX_REASON], **self.counts.model_dump()
        )
