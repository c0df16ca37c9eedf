"""The state of a run between two of its steps.

A run over the whole index consists of steps, each short enough for one job, so that other jobs can run in between.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from mh_common.models import IndexRunProgress, IndexRunStatus, RunCounts, RunOwner
from mh_common.units import UnitKey, UnitKind
from pydantic import BaseModel, ConfigDict, Field

STEP_S: Final = 10.0
"""Seconds after which a step ends at the next opportunity."""

MAX_REASON: Final = 500


class Phase(StrEnum):
    """Phases of a rebuild. A reconciliation does not use them."""

    BEGIN = "begin"
    FILL = "fill"
    CATCH_UP = "catch_up"
    COMPARE = "compare"


class RunCheckpoint(BaseModel):
    """How far a run is; each step's message passes it on to the next.

    Attributes:
        run_id: the run.
        owner: the holder of its lease: the same for all its steps, including redelivered ones.
        kind: the kind of units being processed; None: the first one.
        phase, after, after_ordinal: in this phase, this kind is done up to and including this source and ordinal.
        target: the collection that a rebuild fills.
        counts: the counts so far.
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
        """Return the key up to and including which the units of this kind are done."""
        return UnitKey(kind, self.after, self.after_ordinal)

    def advanced_to(self, after: UnitKey, **found: int) -> Self:
        """Return the checkpoint after the unit `after`, with these numbers added to the counts."""
        counts = self.counts.model_copy(
            update={name: getattr(self.counts, name) + number for name, number in found.items()}
        )
        position = {"after": after.source_id, "after_ordinal": after.ordinal}
        return self.model_copy(update={**position, "counts": counts})

    def with_phase(self, phase: Phase, target: str | None = None) -> Self:
        """Return the checkpoint at the start of another phase."""
        start = {"phase": phase, "after": 0, "after_ordinal": 0}
        return self.model_copy(update={**start, "target": target or self.target})

    def with_kind(self, kind: str) -> Self:
        """Return the checkpoint at the start of another kind."""
        return self.with_phase(Phase.BEGIN).model_copy(update={"kind": kind, "target": None})

    def progress(self, status: IndexRunStatus = IndexRunStatus.RUNNING, reason: str | None = None) -> IndexRunProgress:
        """Return the progress report to send to the API."""
        return IndexRunProgress(
            owner=self.owner, status=status, reason=reason and reason[:MAX_REASON], **self.counts.model_dump()
        )
