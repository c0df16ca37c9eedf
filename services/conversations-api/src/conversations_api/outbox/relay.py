"""The relay: takes outbox rows to the job queue, at least once and in order for each unit."""

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
"""Seconds until the second attempt; each further failure doubles it."""

STOP_TIMEOUT: Final = 5.0
"""Seconds that a cancelled relay may take for the message on its way and for giving its claims back."""

BATCH_INTERVAL: Final = 0.05
"""Seconds from one look at the outbox to the next, at least: of a rush of writes each look takes many rows, in one
message, where it would take a few and cost the same. A write after a pause is looked for at once."""

RUN_RESEND: Final = 30.0
"""Seconds after which the worker is sent again of a run that nobody has taken."""

_RUN_JOBS: Final = {IndexRunKind.RECONCILE: RunJob.RECONCILE, IndexRunKind.REBUILD: RunJob.REBUILD}


def messages(rows: Sequence[ClaimedRow]) -> Iterator[list[ClaimedRow]]:
    """Cut rows into runs that fit one message each: one job, one kind, at most 64 rows, the order kept."""
    for _, run in groupby(rows, lambda row: (row.job, row.unit.kind)):
        jobs = list(run)
        for start in range(0, len(jobs), MAX_JOB_UNITS):
            yield jobs[start : start + MAX_JOB_UNITS]


def backoff(failures: int, longest: float) -> float:
    """Return the seconds to wait after this many failures in a row: doubled each time, up to `longest`, with jitter.

    At least half of that: the relay is alone with its queue, and an attempt while that is down serves nobody.
    """
    return Backoff(FIRST_BACKOFF, longest, jitter=lambda: random.uniform(0.5, 1.0)).wait(failures)  # noqa: S311 - no secret


class Relay:
    """Delivers what the outbox holds. Each process runs one; any number of them share the work.

    A commit of one of `sessions` that wrote to the outbox wakes it.
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
        """Say that there is something to deliver. Call it in the event loop that runs the relay."""
        self._woken.set()

    def _wake_for(self, session: Session) -> None:
        if session.info.pop(OUTBOX_WRITTEN, False):
            self.wake()

    async def run(self) -> None:
        """Deliver until cancelled. Whatever fails is logged and tried again, later each time."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            looked = loop.time()
            try:
                delivered = await self._finish_on_cancel(self._deliver_batch())
            except Exception as error:  # a relay that ends would strand every later write
                failures += 1
                _log_failure(error, failures)
                # A wake does not shorten this: each write would cost a failing attempt while the queue is down.
                await asyncio.sleep(backoff(failures, self._settings.max_backoff))
                continue
            failures = 0
            if not delivered:
                await self._idle()
            if delivered < self._settings.batch_size:
                await asyncio.sleep(looked + BATCH_INTERVAL - loop.time())

    async def _finish_on_cancel(self, work: Coroutine[Any, Any, int]) -> int:
        """Run `work`; when cancelled, let it come to a good end first, which it does after its present message."""
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
        """Give a transaction for as long as a claim can be of use.

        The driver would wait without end for a server that vanished without a word.
        """
        async with asyncio.timeout(self._settings.lease), self._sessions.begin() as session:
            yield session

    async def _deliver_batch(self) -> int:
        """Claim rows, publish them, forget those that were published. Return how many rows and runs were claimed."""
        now = self._clock()
        async with self._transaction() as session:
            outbox = OutboxRepository(session)
            rows = await outbox.claim(self._owner, now, self._settings.lease, self._settings.batch_size)
            runs = await IndexRunRepository(session).claim_due(now, now + timedelta(seconds=RUN_RESEND))
            unknown = [] if rows else await outbox.unknown_jobs()
        self._log_unknown_jobs(unknown)
        if not rows and not runs:
            return 0
        # Stop in time: after the lease another relay may publish the rest, and then ours would be out of order.
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
