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
