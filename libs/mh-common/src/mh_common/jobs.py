"""The contract between the API that queues index jobs and the worker that runs them.

A job contains only keys of units: the worker reads the rows when it runs, so a job can run late, twice or out of order
and the index still ends up with the current rows.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mh_common.units import CONVERSATION, Ordinal, SourceId, UnitKey, UnitKind, conversation_units

MAX_JOB_UNITS: Final = 64
"""Maximum number of units in one message: one embedding batch, one upsert, and little work to repeat after a crash."""

INDEX_QUEUE: Final = "index"
"""Name of the Celery queue (a Redis list) of all index jobs."""


class IndexJob(StrEnum):
    """Celery task names. Each takes units of one kind, as `job_arguments` returns them.

    The names predate the other kinds and are used for all of them.
    """

    CREATED = "CreatedMentalHealthConversationJob"
    UPDATED = "UpdatedMentalHealthConversationJob"
    DELETED = "DeletedMentalHealthConversationJob"


class RunJob(StrEnum):
    """Celery task names of runs over the whole index. Each takes one keyword argument, `run_id`.

    Without it, as Celery beat sends it, the worker adds a run and executes that.
    """

    RECONCILE = "ReconcileIndexJob"
    REBUILD = "RebuildIndexJob"


RUN_LEASE: Final = 30.0
"""Seconds after its holder's last report during which nobody else can take over a run.

A working holder renews the lease well within this time, so it need not be as long as a step. It should be short,
because a run whose holder has died continues only after it."""


class _Conversations(BaseModel):
    """Arguments that name conversations: one id, or several."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: SourceId | Annotated[list[SourceId], Field(min_length=1, max_length=MAX_JOB_UNITS)]


class _Units(BaseModel):
    """Arguments that name units of any other kind, each as [source id, ordinal]."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: UnitKind
    units: list[Annotated[tuple[SourceId, Ordinal], Field(strict=False)]] = Field(
        min_length=1, max_length=MAX_JOB_UNITS
    )


def job_arguments(units: Sequence[UnitKey]) -> dict[str, Any]:
    """Return the keyword arguments of an index job for these units (1 to 64), which must be of one kind.

    Conversations are named only by their ids, as they were before other kinds existed.
    """
    kind = units[0].kind
    if kind == CONVERSATION:
        return {"ids": [unit.source_id for unit in units]}
    return {"kind": kind, "units": [[unit.source_id, unit.ordinal] for unit in units]}


def job_units(arguments: Mapping[str, object]) -> list[UnitKey]:
    """Return the units named by a job's keyword arguments; None counts as not given.

    Raises:
        pydantic.ValidationError: the arguments are not those of an index job.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if given.keys().isdisjoint(_Units.model_fields):
        ids = _Conversations.model_validate(given).ids
        return conversation_units([ids] if isinstance(ids, int) else ids)
    job = _Units.model_validate(given)
    return [UnitKey(job.kind, source_id, ordinal) for source_id, ordinal in job.units]
