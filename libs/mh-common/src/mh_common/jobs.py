"""The contract between the API that queues index jobs and the worker that runs them.

A job contains only keys of units: the worker reads the rows when it runs, so a job may run late, twice or out of order,
and the index still gets the current rows.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mh_common.units import CONVERSATION, Ordinal, SourceId, UnitKey, UnitKind, conversation_units

MAX_JOB_UNITS: Final = 64
"""Most units in one message: one embedding batch, one upsert, and little work lost when a worker dies."""

INDEX_QUEUE: Final = "index"
"""Name of the Celery queue (a Redis list) of all index jobs."""


class IndexJob(StrEnum):
    """Celery task names. Each takes units of one kind, as `job_arguments` returns them.

    The names date from when conversations were the only kind, and are used for every kind.
    """

    CREATED = "CreatedMentalHealthConversationJob"
    UPDATED = "UpdatedMentalHealthConversationJob"
    DELETED = "DeletedMentalHealthConversationJob"


class RunJob(StrEnum):
    """Celery task names of runs over the whole index. Each takes one keyword argument, `run_id`.

    Celery beat sends it without one; the worker then adds a run and executes it.
    """

    RECONCILE = "ReconcileIndexJob"
    REBUILD = "RebuildIndexJob"


RUN_LEASE: Final = 30.0
"""Seconds after a holder's last report during which no other worker may take over its run.

A working holder renews the lease well before it expires, so it need not be as long as the work. The run of a dead
holder continues only after that time, so it should be short."""


class _Conversations(BaseModel):
    """Arguments of a job for conversations: one id, or several."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: SourceId | Annotated[list[SourceId], Field(min_length=1, max_length=MAX_JOB_UNITS)]


class _Units(BaseModel):
    """Arguments of a job for units of another kind, each as [source id, ordinal]."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: UnitKind
    units: list[Annotated[tuple[SourceId, Ordinal], Field(strict=False)]] = Field(
        min_length=1, max_length=MAX_JOB_UNITS
    )


def job_arguments(units: Sequence[UnitKey]) -> dict[str, Any]:
    """Return the keyword arguments of an index job for these units (1 to 64), which are of one kind.

    Conversations are identified by their ids alone, which workers of earlier releases understand.
    """
    kind = units[0].kind
    if kind == CONVERSATION:
        return {"ids": [unit.source_id for unit in units]}
    return {"kind": kind, "units": [[unit.source_id, unit.ordinal] for unit in units]}


def job_units(arguments: Mapping[str, object]) -> list[UnitKey]:
    """Return the units of a job with these keyword arguments, where None counts as omitted.

    Raises:
        pydantic.ValidationError: these are not the arguments of an index job.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if given.keys().isdisjoint(_Units.model_fields):
        ids = _Conversations.model_validate(given).ids
        return conversation_units([ids] if isinstance(ids, int) else ids)
    job = _Units.model_validate(given)
    return [UnitKey(job.kind, source_id, ordinal) for source_id, ordinal in job.units]
