"""One attempt at a job. It ends when the work is done or the next attempt is safely in the queue."""

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
"""The job could not do its work now and is retried later; the reason is logged."""
JOB_CRASHED: Final = "index_job_crashed"
"""An unexpected error, that is, a bug. The job is still retried later."""
JOB_NOT_REQUEUED: Final = "index_job_not_requeued"
"""The job's next attempt could not be sent to Redis; its message is returned to the queue instead."""
INDEX_MISMATCH: Final = "index_mismatch"
"""The collection was created with other settings; jobs wait until it is rebuilt or the settings are restored."""

EARLY_S: Final = 0.5
"""A job may run this many seconds before it is due."""

Arguments = Mapping[str, Any]


class Attempt:
    """What all jobs have in common: delays, retries, metrics and traces.

    Args:
        task: the running Celery task.
        hold_time: longest time in seconds for which a worker holds a job that is not due yet.
        backoff: delays after failures.
    """

    def __init__(self, task: Task, hold_time: float, backoff: Backoff) -> None:
        self._task = task
        self._hold_time = hold_time
        self._backoff = backoff
        headers = task.request.headers or {}
        self._origin: str | None = headers.get(TRACEPARENT)

    @property
    def number(self) -> int:
        """How many times the job has failed so far."""
        return int(self._task.request.retries)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Record the block as this attempt's work, in metrics and traces."""
        name = self._task.name
        with span(f"job {name}", "consumer", [self._origin], mh_failures=self.number):
            # Later attempts and steps become siblings of this one, in the trace of what caused the first.
            self._origin = self._origin or traceparent()
            with metrics.JOB_SECONDS.labels(name).time():
                yield

    def record_outcome(self, outcome: metrics.JobOutcome) -> None:
        """Count the attempt."""
        metrics.count_job(self._task.name, outcome)

    def wait_until(self, not_before: float, arguments: Arguments) -> None:
        """Return if the job is due (`not_before`: Unix time in seconds); otherwise requeue it and end this attempt."""
        if not_before - time.time() > EARLY_S:
            self.enqueue(arguments, not_before, self.number)
            raise Retry(when=not_before - time.time())

    def retry_later(self, error: Exception, *parts: Arguments, **data: Any) -> NoReturn:
        """Queue the next attempt, as one job for each of `parts`, and end this one."""
        attempts = self.number + 1
        delay = self._backoff.wait(attempts, error.retry_after if isinstance(error, IndexingError) else None)
        self.record_outcome(_log_failure(error, attempts=attempts, delay=round(delay, 1), **data))
        for arguments in parts:
            self.enqueue(arguments, time.time() + delay, attempts)
        raise Retry(when=delay)

    def enqueue(self, arguments: Arguments, not_before: float = 0.0, attempts: int = 0) -> None:
        """Send a job of the same name. Long delays are split into several, each below the visibility timeout."""
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
            self.record_outcome("not_requeued")
            log.warning(JOB_NOT_REQUEUED, error=type(error).__name__)
            raise Reject(type(error).__name__, requeue=True) from error


def _log_failure(error: Exception, **data: Any) -> metrics.JobOutcome:
    if isinstance(error, IndexMismatchError):
        log.critical(INDEX_MISMATCH, reason=str(error), **data)
        return "mismatch"
    if isinstance(error, IndexingError):
        log.warning(JOB_POSTPONED, reason=str(error), **data)
        return "postponed"
    # Without the error's message, which could contain a row's text.
    stack = "".join(traceback.format_tb(error.__traceback__))
    log.error(JOB_CRASHED, error=type(error).__name__, stack=stack, **data)
    return "crashed"
