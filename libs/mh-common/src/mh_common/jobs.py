"""The contract between the API that queues index jobs and the worker that runs them.

A job carries conversation ids and nothing else: the worker reads the rows when it runs, so a job may run late, twice or
out of order and still leave the index with the present rows.
"""

from enum import StrEnum
from typing import Final

MAX_JOB_IDS: Final = 64
"""Most conversation ids in one message: one embedding batch, one upsert, and little lost time when a worker dies."""

INDEX_QUEUE: Final = "index"
"""Name of the Celery queue (the Redis list) that all index jobs travel on."""


class IndexJob(StrEnum):
    """Celery task names. Each takes one keyword argument, `ids`: one to 64 conversation ids."""

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
