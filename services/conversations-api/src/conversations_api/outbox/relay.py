"""The relay: publishes outbox rows to the job queue, at least once and in order for each unit."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import structlog
from mh_common.jobs import MAX_JOB_UNITS, RunJob
from mh_common.models import IndexRunKind
from mh_common.retries import Backoff
from mh_common.tracing import span
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from conversations_api import metrics
from conversations_api.clock import Clock, utc_now
from conversations_api.database import SessionFactory, after_each_commit
from conversations_api.index_runs.repository import DueRun, IndexRunRepository
from conversations_api.outbox.publisher import Publisher, PublishError
from conversations_api.outbox.repository import OUTBOX_WRITTEN, ClaimedRow, OutboxRepository
from conversations_api.settings import RelaySettings

log = structlog.get_logger(__name__)

OUTBOX_PUBLISHED: Final = "outbox_published"
OUTBOX_POSTPONED: Final = "outbox_postponed"
OUTBOX_DATABASE_FAILED: Final = "outbox_database_failed"
OUTBOX_RELAY_FAILED: Final = "outbox_relay_failed"
OUTBOX_UNKNOWN_JOB: Final = "outbox_unknown_job"

FIRST_BACKOFF: Final = 0.25
"""Delay in seconds before the second attempt; each further failure doubles it."""

STOP_TIMEOUT: Final = 5.0
"""Seconds a cancelled relay may take to finish sending a message and to release its claims."""

BATCH_INTERVAL: Final = 0.05
"""Minimum seconds between two queries of the outbox. During a burst of writes, each query then fetches many rows, for
one message, instead of a few at the same cost. A write after a pause is published immediately."""

RUN_RESEND: Final = 30.0
"""Seconds after which the message about a run that nobody has claimed is sent again."""

_RUN_JOBS: Final = {IndexRunKind.RECONCILE: RunJob.RECONCILE, IndexRunKind.REBUILD: RunJob.REBUILD}


def messages(rows: Sequence[ClaimedRow]) -> Iterator[list[ClaimedRow]]:
    """Split rows, in order, into chunks for one message each: of one job and one kind, with at most 64 rows."""
    for _, group in groupby(rows, lambda row: (row.job, row.unit.kind)):
        similar = list(group)
        for start in range(0, len(similar), MAX_JOB_UNITS):
            yield similar[start : start + MAX_JOB_UNITS]


def backoff(failures: int, longest: float) -> float:
    """Return the delay in seconds after this many consecutive failures: doubled each time up to `longest`, with jitter.

    The jitter removes at most half of it: an early attempt while the queue is down is of no use.
    """
    return Backoff(FIRST_BACKOFF, longest, jitter=lambda: random.uniform(0.5, 1.0)).wait(failures)  # noqa: S311 - no secret


class Relay:
    """Publishes the outbox's jobs. Each process runs one relay; any number of them share the work.

    It wakes up when a session from `sessions` that wrote to the outbox commits.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        publisher: Publisher,
        settings: RelaySettings,
        clock: Clock = utc_now,
    ) -> None:
        self._sessions = sessions
        self._publisher = publisher
        self._settings = settings
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._woken = asyncio.Event()
        self._stopping = False
        self._unknown_jobs: set[str] = set()
        after_each_commit(sessions, self._wake_for)

    def wake(self) -> None:
        """Wake the relay because there is something to publish. Must be called in the relay's event loop."""
        self._woken.set()

    def _wake_for(self, session: Session) -> None:
        if session.info.pop(OUTBOX_WRITTEN, False):
            self.wake()

    async def run(self) -> None:
        """Publish jobs until cancelled. Failures are logged and retried with growing delays."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            started = loop.time()
            try:
                delivered = await self._finish_on_cancel(self._deliver_batch())
            except Exception as error:  # if the relay ended, no later write would be published
                failures += 1
                _log_failure(error, failures)
                # Waking up does not shorten this: while the queue is down, each write would cause a failing attempt.
                await asyncio.sleep(backoff(failures, self._settings.max_backoff))
                continue
            failures = 0
            if not delivered:
                await self._idle()
            if delivered < self._settings.batch_size:
                await asyncio.sleep(started + BATCH_INTERVAL - loop.time())

    async def _finish_on_cancel(self, work: Coroutine[Any, Any, int]) -> int:
        """Run `work`; when cancelled, first let it finish, which it does after the message it is sending."""
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._stopping = True
            await asyncio.wait({task}, timeout=STOP_TIMEOUT)
            if not task.done():
                task.cancel()
            elif (error := task.exception()) is not None:
                _log_failure(error, failures=1)
            raise

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.poll_interval):
                await self._woken.wait()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that times out with the lease.

        The driver itself would wait forever for a server that disappeared without closing the connection.
        """
        async with asyncio.timeout(self._settings.lease), self._sessions.begin() as session:
            yield session

    async def _deliver_batch(self) -> int:
        """Claim rows, publish them and delete the published ones. Return how many rows and runs were claimed."""
        now = self._clock()
        async with self._transaction() as session:
            outbox = OutboxRepository(session)
            rows = await outbox.claim(self._owner, now, self._settings.lease, self._settings.batch_size)
            runs = await IndexRunRepository(session).claim_due(now, now + timedelta(seconds=RUN_RESEND))
            unknown = [] if rows else await outbox.unknown_jobs()
        self._log_unknown_jobs(unknown)
        if not rows and not runs:
            return 0
        # Stop in time: when the lease expires, another relay may publish the rest, and ours would be out of order.
        await self._publish(runs, rows, until=now + timedelta(seconds=self._settings.lease / 2))
        return len(rows) + len(runs)

    def _log_unknown_jobs(self, jobs: Sequence[str]) -> None:
        for job in set(jobs) - self._unknown_jobs:
            log.warning(OUTBOX_UNKNOWN_JOB, job=job)
        self._unknown_jobs.update(jobs)

    async def _publish(self, runs: Sequence[DueRun], rows: Sequence[ClaimedRow], until: datetime) -> None:
        sent = published = 0
        try:
            for run in runs:
                await self._publisher.publish_run(_RUN_JOBS[run.kind], run.id)
                sent += 1
            for message in messages(rows):
                if self._stopping or (published and self._clock() >= until):
                    break
                units = list(dict.fromkeys(row.unit for row in message))
                with span("publish", "producer", [row.trace_context for row in message], mh_rows=len(message)):
                    await self._publisher.publish(message[0].job, units)
                published += len(message)
        finally:
            await self._settle(rows[:published], rows[published:], runs[sent:])

    async def _settle(
        self, published: Sequence[ClaimedRow], rest: Sequence[ClaimedRow], unsent: Sequence[DueRun]
    ) -> None:
        async with self._transaction() as session:
            outbox = OutboxRepository(session)
            await outbox.delete([row.id for row in published], self._owner)
            await outbox.release([row.id for row in rest], self._owner)
            await IndexRunRepository(session).update([run.id for run in unsent], message_due_at=self._clock())
        if published:
            for job, number in Counter(row.job for row in published).items():
                metrics.PUBLISHED.labels(job.value).inc(number)
            log.info(OUTBOX_PUBLISHED, rows=len(published), released=len(rest))


def _log_failure(error: BaseException, failures: int) -> None:
    kind = type(error).__name__
    if isinstance(error, PublishError):
        metrics.FAILURES.labels("queue").inc()
        log.warning(OUTBOX_POSTPONED, error=str(error), failures=failures)
    elif isinstance(error, SQLAlchemyError | OSError):
        metrics.FAILURES.labels("database").inc()
        log.warning(OUTBOX_DATABASE_FAILED, error=kind, failures=failures)
    else:
        metrics.FAILURES.labels("relay").inc()
        log.error(OUTBOX_RELAY_FAILED, error=kind, failures=failures, exc_info=error)
