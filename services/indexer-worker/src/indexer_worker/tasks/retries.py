"""One attempt at a job. A job ends when its work is done, or when the next attempt is safely in the queue."""

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import structlog
from celery import Task
from celery.exceptions import Reject, Retry
from mh_common.jobs import INDEX_QUEUE
from mh_common.retries import Backoff
from mh_common.tracing import TRACEPARENT, span, traceparent

from indexer_worker import metrics
from indexer_worker.errors import IndexingError, IndexMismatchError

log = structlog.get_logger(__name__)

JOB_POSTPONED: Final = "index_job_postponed"
"""The job could not do its work and is tried again later; the reason is logged with it."""
JOB_CRASHED: Final = "index_job_crashed"
"""An error that nobody expected: a bug. The job is tried again later all the same."""
JOB_NOT_REQUEUED: Final = "index_job_not_requeued"
"""Redis did not take the job's next attempt; the message itself goes back to the queue instead."""
INDEX_MISMATCH: Final = "index_mismatch"
"""The collection belongs to other settings; jobs wait until it is built anew, or the settings are put back."""

EARLY_S: Final = 0.5
"""A job that wakes this much before its time runs."""

Arguments = Mapping[str, Any]


class Attempt:
    """What every job does around its work.

    Args:
        task: the Celery task under way.
        hold_time: longest time in seconds that a worker holds a job which waits.
        backoff: how long to wait after a failure.
    """

    def __init__(self, task: Task, hold_time: float, backoff: Backoff) -> None:
        self._task = task
        self._hold_time = hold_time
        self._backoff = backoff
        headers = task.request.headers or {}
        self._origin: str | None = headers.get(TRACEPARENT)

    @property
    def number(self) -> int:
        """How often the job failed before."""
        return int(self._task.request.retries)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Let the block be the work of this attempt, in metrics and traces."""
        name = self._task.name
        with span(f"job {name}", "consumer", [self._origin], mh_failures=self.number):
            # Further attempts and steps stay beside this one, in the trace of what caused the first.
            self._origin = self._origin or traceparent()
            with metrics.JOB_SECONDS.labels(name).time():
                yield

    def ended(self, outcome: metrics.JobOutcome) -> None:
        """Count the attempt."""
        metrics.count_job(self._task.name, outcome)

    def wait_until(self, not_before: float, arguments: Arguments) -> None:
        """Return when it is time (seconds since 1970); else queue the job again and end it."""
        if not_before - time.time() > EARLY_S:
            self.queue(arguments, not_before, self.number)
            raise Retry(when=not_before - time.time())

    def failed(self, error: Exception, *parts: Arguments, **data: Any) -> NoReturn:
        """Queue the next attempt, as one job for each of `parts`, and end this one."""
        attempts = self.number + 1
        delay = self._backoff.wait(attempts, error.retry_after if isinstance(error, IndexingError) else None)
        self.ended(_log_failure(error, attempts=attempts, delay=round(delay, 1), **data))
        for arguments in parts:
            self.queue(arguments, time.time() + delay, attempts)
        raise Retry(when=delay)

    def queue(self, arguments: Arguments, not_before: float = 0.0, attempts: int = 0) -> None:
        """Send a job of the same name. A long wait is made of several short ones, each below the visibility timeout."""
        countdown = min(not_before - time.time(), self._hold_time)
        try:
            self._task.apply_async(
                kwargs={**arguments, "not_before": not_before},
                countdown=max(countdown, 0.0),
                retries=attempts,
                queue=INDEX_QUEUE,
                headers={} if self._origin is None else {TRACEPARENT: self._origin},
            )
        except Exception as error:
            self.ended("not_requeued")
            log.warning(JOB_NOT_REQUEUED, error=type(error).__name__)
            raise Reject(type(error).__name__, requeue=True) from error


def _log_failure(error: Exception, **data: Any) -> metrics.JobOutcome:
    if isinstance(error, IndexMismatchError):
        log.critical(INDEX_MISMATCH, reason=str(error), **data)
        return "mismatch"
    if isinstance(error, IndexingError):
        log.warning(JOB_POSTPONED, reason=str(error), **data)
        return "postponed"
    # Not its message, which could repeat what a row holds.
    stack = "".join(traceback.format_tb(error.__traceback__))
    log.error(JOB_CRASHED, error=type(error).__name__, stack=stack, **data)
    return "crashed"
