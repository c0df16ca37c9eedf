"""The contract between the API that queues index jobs and the worker that runs them.

A job carries keys of units and nothing else: the worker reads the rows when it runs, so a job may run late, twice or
out of order and still leave the index with the present rows.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mh_common.units import CONVERSATION, Ordinal, SourceId, UnitKey, UnitKind, conversation_units

MAX_JOB_UNITS: Final = 64
"""Most units in one message: one embedding batch, one upsert, and little lost time when a worker dies."""

INDEX_QUEUE: Final = "index"
"""Name of the Celery queue (the Redis list) that all index jobs travel on."""


class IndexJob(StrEnum):
    """Celery task names. Each takes units of one kind, as `job_arguments` returns them.

    The names are older than the other kinds and stand for all of them.
    """

    CREATED = "CreatedMentalHealthConversationJob"
    UPDATED = "UpdatedMentalHealthConversationJob"
    DELETED = "DeletedMentalHealthConversationJob"


class RunJob(StrEnum):
    """Celery task names of runs over the whole index. Each takes one keyword argument, `run_id`.

    Without it, as the clock sends it, the worker adds a run of its own and carries that out.
    """

    RECONCILE = "ReconcileIndexJob"
    REBUILD = "RebuildIndexJob"


RUN_LEASE: Final = 30.0
"""Seconds after a holder's last word during which nobody else may take over its run.

A holder at work says that it lives well within it, so it need not be longer than the work. What the index lost while
a holder died is found after that time, so it should be short."""


class _Conversations(BaseModel):
    """The arguments about conversations: one id, or several."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: SourceId | Annotated[list[SourceId], Field(min_length=1, max_length=MAX_JOB_UNITS)]


class _Units(BaseModel):
    """The arguments about units of any other kind, each as [source id, ordinal]."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: UnitKind
    units: list[Annotated[tuple[SourceId, Ordinal], Field(strict=False)]] = Field(
        min_length=1, max_length=MAX_JOB_UNITS
    )


def job_arguments(units: Sequence[UnitKey]) -> dict[str, Any]:
    """Return the keyword arguments of an index job about these units (1 to 64), which are of one kind.

    Conversations are named by their ids alone, as they were before there could be other kinds.
    """
    kind = units[0].kind
    if kind == CONVERSATION:
        return {"ids": [unit.source_id for unit in units]}
    return {"kind": kind, "units": [[unit.source_id, unit.ordinal] for unit in units]}


def job_units(arguments: Mapping[str, object]) -> list[UnitKey]:
    """Return the units of a job with these keyword arguments, of which None counts as not given.

    Raises:
        pydantic.ValidationError: these are not the arguments of an index job.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    if given.keys().isdisjoint(_Units.model_fields):
        ids = _Conversations.model_validate(given).ids
        return conversation_units([ids] if isinstance(ids, int) else ids)
    job = _Units.model_validate(given)
    return [UnitKey(job.kind, source_id, ordinal) for source_id, ordinal in job.units]
