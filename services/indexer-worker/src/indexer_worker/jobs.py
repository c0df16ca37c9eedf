"""The Celery jobs: what a message may hold, and what becomes of it when its work cannot be done now."""

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NoReturn

import structlog
from celery import Celery, Task
from celery.exceptions import Reject, Retry
from mh_common.embeddings.backoff import Backoff
from mh_common.jobs import INDEX_QUEUE, MAX_JOB_IDS, IndexJob
from mh_common.models import ConversationId
from pydantic import Field, TypeAdapter, ValidationError

from indexer_worker.errors import IndexingError, IndexMismatchError, JobTimeoutError
from indexer_worker.settings import WorkerSettings

log = structlog.get_logger(__name__)

JOB_DONE: Final = "index_job_done"
JOB_POSTPONED: Final = "index_job_postponed"
"""The job could not do its work and is tried again later; the reason is logged with it."""
JOB_CRASHED: Final = "index_job_crashed"
"""An error that nobody expected: a bug. The job is tried again later all the same."""
JOB_REFUSED: Final = "index_job_refused"
"""The message was not a job of ours; it is dropped."""
JOB_NOT_REQUEUED: Final = "index_job_not_requeued"
"""Redis did not take the job's next attempt; the message itself goes back to the queue instead."""
INDEX_MISMATCH: Final = "index_mismatch"
"""The collection belongs to other settings; the worker stops."""

FIRST_RETRY_CEILING_S: Final = 1.0
EARLY_S: Final = 0.5
"""A job that wakes this much before its time runs."""

_Id = Annotated[ConversationId, Field(strict=True)]
_IDS: Final[TypeAdapter[list[int]]] = TypeAdapter(
    Annotated[list[_Id], Field(min_length=1, max_length=MAX_JOB_IDS, strict=True)]
)

Index = Callable[[Sequence[int]], None]


def register_jobs(app: Celery, index: Index, settings: WorkerSettings) -> None:
    """Add the three jobs to the app.

    They do the same: the present rows are read again, so it does not matter what happened to them. `index` does the
    work (see `Runtime.index`).
    """
    backoff = Backoff(base_s=FIRST_RETRY_CEILING_S, ceiling_s=settings.max_retry_delay)

    def run(task: Task, ids: object, not_before: float = 0.0) -> None:
        """`ids`: one conversation id, or up to 64. `not_before`: seconds since 1970; the worker's own, for retries."""
        with structlog.contextvars.bound_contextvars(job_id=task.request.id, job=task.name):
            _Attempt(task, settings.hold_time, backoff).run(index, ids, not_before)

    for job in IndexJob:
        # Not shared: other Celery apps of this process, a publisher say, have no such tasks.
        app.task(run, bind=True, name=job.value, shared=False)


class _Attempt:
    """One attempt at a job. A job ends when its work is done, or when the next attempt is safely in the queue."""

    def __init__(self, task: Task, hold_time: float, backoff: Backoff) -> None:
        self._task = task
        self._hold_time = hold_time
        self._backoff = backoff

    def run(self, index: Index, ids: object, not_before: float) -> None:
        try:
            wanted = _IDS.validate_python([ids] if isinstance(ids, int) else ids)
        except ValidationError as error:
            log.error(JOB_REFUSED, faults=error.error_count())
            return
        if not_before - time.time() > EARLY_S:
            self._queue(wanted, not_before, self._task.request.retries)
            raise Retry(when=not_before - time.time())
        started = time.monotonic()
        try:
            index(wanted)
        except Exception as error:  # whatever it is, no row may be forgotten
            self._failed(wanted, error)
        log.info(JOB_DONE, rows=len(wanted), seconds=round(time.monotonic() - started, 3))

    def _failed(self, ids: list[int], error: Exception) -> NoReturn:
        attempts = self._task.request.retries + 1
        delay = self._backoff.wait(attempts, error.retry_after if isinstance(error, IndexingError) else None)
        _log_failure(error, rows=len(ids), attempts=attempts, delay=round(delay, 1))
        middle = len(ids) // 2 if isinstance(error, JobTimeoutError) else 0
        for part in (ids[:middle], ids[middle:]):
            if part:
                self._queue(part, time.time() + delay, attempts)
        if isinstance(error, IndexMismatchError):
            # Every other job would fail in the same way; the one who starts the worker again is told why it ends.
            self._task.app.control.shutdown(destination=[self._task.request.hostname])
        raise Retry(when=delay)

    def _queue(self, ids: list[int], not_before: float, attempts: int) -> None:
        """Send the next attempt. A long wait is made of several short ones, each below the visibility timeout."""
        countdown = min(not_before - time.time(), self._hold_time)
        try:
            self._task.apply_async(
                kwargs={"ids": ids, "not_before": not_before},
                countdown=max(countdown, 0.0),
                retries=attempts,
                queue=INDEX_QUEUE,
            )
        except Exception as error:
            log.warning(JOB_NOT_REQUEUED, error=type(error).__name__)
            raise Reject(type(error).__name__, requeue=True) from error


def _log_failure(error: Exception, **data: Any) -> None:
    if isinstance(error, IndexMismatchError):
        log.critical(INDEX_MISMATCH, reason=str(error), **data)
    elif isinstance(error, IndexingError):
        log.warning(JOB_POSTPONED, reason=str(error), **data)
    else:
        # Not its message, which could repeat what a row holds.
        log.error(JOB_CRASHED, error=type(error).__name__, stack=traceback.format_tb(error.__traceback__), **data)
