"""Executes runs over the whole index, step by step, under a lease that the API grants to one worker at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

import structlog
from mh_client import ConflictError, MHError, NotFoundError
from mh_common.jobs import RUN_LEASE
from mh_common.models import IndexRun, IndexRunKind, IndexRunStatus

from indexer_worker import metrics
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, IndexMismatchError, VectorStoreError
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.maintenance.kinds import Kinds, next_kind, services_of
from indexer_worker.settings import ReconcileSettings
from indexer_worker.vector_store.repository import VectorRepository

log = structlog.get_logger(__name__)

RUN_DONE: Final = "index_run_done"
"""Includes the counts: missing, stale or orphaned above 0 means that something went wrong before the run."""
RUN_FAILED: Final = "index_run_failed"
RUN_LEFT: Final = "index_run_left_to_others"
"""Another worker holds the lease, or the run has finished."""

HEARTBEAT_S: Final = RUN_LEASE / 3
"""Seconds between two renewals of the lease."""

MAX_ATTEMPTS: Final = 8
"""A reconciliation fails after this many failures of a step; beat schedules the next one. A rebuild never gives up."""

FAILURES_BEFORE_SKIP: Final = 2
"""A rebuild step that failed, or crashed its process, this many times skips its next rows."""


class RunService:
    """Executes steps of runs.

    Args:
        api: client of the API, which gives runs to one worker at a time.
        kinds: the kinds that a run processes, and their services.
        queue_is_idle: whether no other job is waiting or running; called in a thread.
        settings: how long a unit may be pending before it counts as lost.
        heartbeat: seconds between two renewals of the lease.
    """

    def __init__(
        self,
        api: ConversationsAPI,
        kinds: Kinds,
        queue_is_idle: Callable[[], bool],
        settings: ReconcileSettings,
        heartbeat: float = HEARTBEAT_S,
    ) -> None:
        self._api = api
        self._kinds = kinds
        self._queue_is_idle = queue_is_idle
        self._settings = settings
        self._heartbeat = heartbeat

    async def add(self, kind: IndexRunKind) -> int:
        """Add a run and return its id. Raises IndexingError."""
        try:
            return (await self._api.add_run(kind)).id
        except MHError as error:
            raise IndexingError(str(error)) from error

    async def run_step(self, checkpoint: RunCheckpoint, attempts: int, crashes: int) -> RunCheckpoint | None:
        """Execute one step and return the next checkpoint; None if the run has finished or another worker holds it.

        Args:
            checkpoint: how far the run is.
            attempts, crashes: how often this step has failed so far, and how often it crashed its process.

        Raises:
            IndexingError: the API, Milvus or the embedder does not answer; the same step may succeed later.
        """
        try:
            run = await self._api.claim_run(checkpoint.run_id, checkpoint.owner)
            try:
                async with self._renewing_lease(checkpoint):
                    return await self._step(run, checkpoint, attempts, crashes)
            except IndexMismatchError as error:
                await self._fail(run, checkpoint, str(error))
            except IndexingError as error:
                if run.kind is IndexRunKind.REBUILD or attempts + 1 < MAX_ATTEMPTS:
                    raise
                await self._fail(run, checkpoint, str(error))
        except (ConflictError, NotFoundError):
            log.info(RUN_LEFT, run_id=checkpoint.run_id)
        except MHError as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        return None

    @asynccontextmanager
    async def _renewing_lease(self, checkpoint: RunCheckpoint) -> AsyncIterator[None]:
        """Renew the lease while the block runs: a single call to a slow service can outlast it."""
        renewal = asyncio.create_task(self._renew_lease(checkpoint))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.wait([renewal])

    async def _renew_lease(self, checkpoint: RunCheckpoint) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            # If this worker has lost the lease, the API says so when the step is reported.
            with suppress(MHError):
                await self._api.claim_run(checkpoint.run_id, checkpoint.owner)

    async def _step(
        self, run: IndexRun, checkpoint: RunCheckpoint, attempts: int, crashes: int
    ) -> RunCheckpoint | None:
        kind = checkpoint.kind or next(iter(self._kinds))
        services = services_of(self._kinds, kind)
        if run.kind is IndexRunKind.REBUILD:
            following, finished = await services.rebuilder.step(
                run, checkpoint, skip=max(attempts, crashes) >= FAILURES_BEFORE_SKIP
            )
        else:
            await _prepare(services.repository)
            following, finished = await services.reconciler.step(run, checkpoint, await self._overdue_before(run))
        if finished and (another := next_kind(self._kinds, kind)) is not None:
            following, finished = following.with_kind(another), False
        status = IndexRunStatus.DONE if finished else IndexRunStatus.RUNNING
        await self._api.report_run(checkpoint.run_id, following.progress(status))
        metrics.count_found(run.kind, checkpoint.counts, following.counts)
        if not finished:
            return following
        metrics.count_run(run.kind, status)
        log.info(RUN_DONE, run_id=run.id, kind=run.kind.value, **following.counts.model_dump())
        return None

    async def _overdue_before(self, run: IndexRun) -> datetime:
        """Return the time before which a pending unit must have been queued to count as lost.

        Jobs are taken in the order in which they were queued. So when this job starts, all jobs queued before the run
        was requested have been taken too. Some may be waiting for a retry, though, which only an idle queue rules out.
        """
        idle = await asyncio.to_thread(self._queue_is_idle)
        grace = self._settings.grace if idle else self._settings.busy_grace
        return run.requested_at - timedelta(seconds=grace)

    async def _fail(self, run: IndexRun, checkpoint: RunCheckpoint, reason: str) -> None:
        metrics.count_run(run.kind, IndexRunStatus.FAILED)
        log.error(RUN_FAILED, run_id=checkpoint.run_id, reason=reason)
        await self._api.report_run(checkpoint.run_id, checkpoint.progress(IndexRunStatus.FAILED, reason))


async def _prepare(repository: VectorRepository) -> None:
    try:
        await repository.prepare()
    except VectorStoreError as error:
        raise IndexingError(str(error)) from error
