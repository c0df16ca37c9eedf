"""Where a run stands between two of its steps.

A run over the whole index is made of steps, each short enough for one job, so that other jobs pass between them.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from mh_common.models import IndexRunProgress, IndexRunStatus, RunCounts, RunOwner
from mh_common.units import UnitKey, UnitKind
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
        kind: the kind of units that the run is at; none: the first one.
        phase, after, after_ordinal: of this kind, what is up to this source and ordinal is done in this phase.
        target: the collection that a rebuild fills.
        counts: what was found so far.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: Annotated[int, Field(ge=1)]
    owner: RunOwner
    kind: UnitKind | None = None
    phase: Phase = Phase.BEGIN
    after: Annotated[int, Field(ge=0)] = 0
    after_ordinal: Annotated[int, Field(ge=0)] = 0
    target: str | None = None
    counts: RunCounts = RunCounts()

    def position(self, kind: str) -> UnitKey:
        """Return the key up to which the units of this kind are done."""
        return UnitKey(kind, self.after, self.after_ordinal)

    def moved(self, after: UnitKey, **found: int) -> Self:
        """Return the checkpoint behind `after`, with these numbers added to the counts."""
        counts = self.counts.model_copy(
            update={name: getattr(self.counts, name) + number for name, number in found.items()}
        )
        position = {"after": after.source_id, "after_ordinal": after.ordinal}
        return self.model_copy(update={**position, "counts": counts})

    def entered(self, phase: Phase, target: str | None = None) -> Self:
        """Return the checkpoint at the beginning of another phase."""
        beginning = {"phase": phase, "after": 0, "after_ordinal": 0}
        return self.model_copy(update={**beginning, "target": target or self.target})

    def turned_to(self, kind: str) -> Self:
        """Return the checkpoint at the beginning of another kind."""
        return self.entered(Phase.BEGIN).model_copy(update={"kind": kind, "target": None})

    def progress(self, status: IndexRunStatus = IndexRunStatus.RUNNING, reason: str | None = None) -> IndexRunProgress:
        """Return the holder's word on the run."""
        return IndexRunProgress(
            owner=self.owner, status=status, reason=reason and reason[:MAX_REASON], **self.counts.model_dump()
        )
