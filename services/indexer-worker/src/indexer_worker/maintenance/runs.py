"""Runs over the whole index, step by step, under the lease that the API gives to one worker at a time."""

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
from indexer_worker.maintenance.checkpoints import Checkpoint
from indexer_worker.maintenance.kinds import Kinds, next_kind, services_of
from indexer_worker.settings import ReconcileSettings
from indexer_worker.vector_store.repository import VectorRepository

log = structlog.get_logger(__name__)

RUN_DONE: Final = "index_run_done"
"""Also tells what was found: anything but 0 that is missing, stale or orphaned was lost by some fault."""
RUN_FAILED: Final = "index_run_failed"
RUN_LEFT: Final = "index_run_left_to_others"
"""Another worker has the lease, or the run is over."""

HEARTBEAT_S: Final = RUN_LEASE / 3
"""Seconds from one word to the API that this worker still has the run to the next."""

MAX_ATTEMPTS: Final = 8
"""A step of a reconciliation that fails so often is given up; the clock sends the next run. A rebuild is not."""

MAX_TRIES: Final = 2
"""A step that failed, or ended its process, so often goes on without its next rows."""


class RunService:
    """Carries out steps of runs.

    Args:
        api: which gives runs to one worker at a time.
        kinds: what a run goes through, and what does its work.
        queue_is_idle: whether no other job waits or runs; called in a thread.
        settings: how long a unit may wait before it counts as lost.
        heartbeat: seconds from one word to the API that the run is still this worker's to the next.
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
        """Return the id of a run to carry out. Raises IndexingError."""
        try:
            return (await self._api.add_run(kind)).id
        except MHError as error:
            raise IndexingError(str(error)) from error

    async def carry_on(self, checkpoint: Checkpoint, attempts: int, deaths: int) -> Checkpoint | None:
        """Do one step and return the next; None when the run is over, or with somebody else.

        Args:
            checkpoint: where the run stands.
            attempts, deaths: how often this very step failed so far, and ended its process.

        Raises:
            IndexingError: something does not answer; the same step can succeed later.
        """
        try:
            run = await self._api.claim_run(checkpoint.run_id, checkpoint.owner)
            try:
                async with self._kept(checkpoint):
                    return await self._step(run, checkpoint, attempts, deaths)
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
    async def _kept(self, checkpoint: Checkpoint) -> AsyncIterator[None]:
        """Extend the lease while the block works: one call to a slow service can take longer than it lasts."""
        claiming = asyncio.create_task(self._claim_again(checkpoint))
        try:
            yield
        finally:
            claiming.cancel()
            await asyncio.wait([claiming])

    async def _claim_again(self, checkpoint: Checkpoint) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            # Whether the run is still this worker's, the API says when the step is reported.
            with suppress(MHError):
                await self._api.claim_run(checkpoint.run_id, checkpoint.owner)

    async def _step(self, run: IndexRun, checkpoint: Checkpoint, attempts: int, deaths: int) -> Checkpoint | None:
        kind = checkpoint.kind or next(iter(self._kinds))
        services = services_of(self._kinds, kind)
        if run.kind is IndexRunKind.REBUILD:
            following, last = await services.rebuilder.step(run, checkpoint, skip=max(attempts, deaths) >= MAX_TRIES)
        else:
            await _prepare(services.repository)
            following, last = await services.reconciler.step(run, checkpoint, await self._overdue(run))
        if last and (another := next_kind(self._kinds, kind)) is not None:
            following, last = following.turned_to(another), False
        status = IndexRunStatus.DONE if last else IndexRunStatus.RUNNING
        await self._api.report_run(checkpoint.run_id, following.progress(status))
        metrics.count_found(run.kind, checkpoint.counts, following.counts)
        if not last:
            return following
        metrics.count_run(run.kind, status)
        log.info(RUN_DONE, run_id=run.id, kind=run.kind.value, **following.counts.model_dump())
        return None

    async def _overdue(self, run: IndexRun) -> datetime:
        """Return since when a unit must have waited to count as lost and not as under way.

        Jobs are taken in the order in which they were queued. So when this job is taken, those from before the run was
        asked for were taken, too; but some wait for their next attempt, which only an empty queue rules out.
        """
        idle = await asyncio.to_thread(self._queue_is_idle)
        grace = self._settings.grace if idle else self._settings.busy_grace
        return run.requested_at - timedelta(seconds=grace)

    async def _fail(self, run: IndexRun, checkpoint: Checkpoint, reason: str) -> None:
        metrics.count_run(run.kind, IndexRunStatus.FAILED)
        log.error(RUN_FAILED, run_id=checkpoint.run_id, reason=reason)
        await self._api.report_run(checkpoint.run_id, checkpoint.progress(IndexRunStatus.FAILED, reason))


async def _prepare(repository: VectorRepository) -> None:
    try:
        await repository.prepare()
    except VectorStoreError as error:
        raise IndexingError(str(error)) from error
