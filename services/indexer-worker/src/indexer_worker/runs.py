"""Runs over the whole index, step by step, under the lease that the API gives to one worker at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

import structlog
from mh_client import AsyncClient, ConflictError, MHError, NotFoundError
from mh_common.jobs import RUN_LEASE
from mh_common.models import IndexRun, IndexRunKind, IndexRunStatus

from indexer_worker import metrics
from indexer_worker.backlog import Backlog
from indexer_worker.errors import IndexingError, IndexMismatchError, VectorStoreError
from indexer_worker.rebuild import Rebuilder
from indexer_worker.reconcile import Reconciler
from indexer_worker.repository import MilvusRepository
from indexer_worker.settings import ReconcileSettings
from indexer_worker.steps import Step

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
    """Carries out steps of runs."""

    def __init__(
        self,
        conversations: AsyncClient,
        repository: MilvusRepository,
        reconciler: Reconciler,
        rebuilder: Rebuilder,
        backlog: Backlog,
        settings: ReconcileSettings,
        heartbeat: float = HEARTBEAT_S,
    ) -> None:
        self._conversations = conversations
        self._repository = repository
        self._reconciler = reconciler
        self._rebuilder = rebuilder
        self._backlog = backlog
        self._settings = settings
        self._heartbeat = heartbeat

    async def add(self, kind: IndexRunKind) -> int:
        """Return the id of a run to carry out. Raises IndexingError."""
        try:
            return (await self._conversations.index.create_run(kind)).id
        except MHError as error:
            raise IndexingError(str(error)) from error

    async def carry_on(self, step: Step, attempts: int, deaths: int) -> Step | None:
        """Do one step and return the next; None when the run is over, or with somebody else.

        Args:
            step: where the run stands.
            attempts, deaths: how often this very step failed so far, and ended its process.

        Raises:
            IndexingError: something does not answer; the same step can succeed later.
        """
        try:
            run = await self._conversations.index.claim_run(step.run_id, step.owner)
            try:
                async with self._kept(step):
                    return await self._step(run, step, attempts, deaths)
            except IndexMismatchError as error:
                await self._fail(run, step, str(error))
            except IndexingError as error:
                if run.kind is IndexRunKind.REBUILD or attempts + 1 < MAX_ATTEMPTS:
                    raise
                await self._fail(run, step, str(error))
        except (ConflictError, NotFoundError):
            log.info(RUN_LEFT, run_id=step.run_id)
        except MHError as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error
        return None

    @asynccontextmanager
    async def _kept(self, step: Step) -> AsyncIterator[None]:
        """Extend the lease while the block works: one call to a slow service can take longer than it lasts."""
        claiming = asyncio.create_task(self._claim_again(step))
        try:
            yield
        finally:
            claiming.cancel()
            await asyncio.wait([claiming])

    async def _claim_again(self, step: Step) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            # Whether the run is still this worker's, the API says when the step is reported.
            with suppress(MHError):
                await self._conversations.index.claim_run(step.run_id, step.owner)

    async def _step(self, run: IndexRun, step: Step, attempts: int, deaths: int) -> Step | None:
        if run.kind is IndexRunKind.REBUILD:
            following, last = await self._rebuilder.step(run, step, skip=max(attempts, deaths) >= MAX_TRIES)
        else:
            await self._prepare()
            following, last = await self._reconciler.step(run, step, await self._overdue(run))
        status = IndexRunStatus.DONE if last else IndexRunStatus.RUNNING
        await self._conversations.index.report_run(step.run_id, following.progress(status))
        metrics.count_found(run.kind, step.counts, following.counts)
        if not last:
            return following
        metrics.count_run(run.kind, status)
        log.info(RUN_DONE, run_id=run.id, kind=run.kind.value, **following.counts.model_dump())
        return None

    async def _prepare(self) -> None:
        try:
            await self._repository.prepare()
        except VectorStoreError as error:
            raise IndexingError(str(error)) from error

    async def _overdue(self, run: IndexRun) -> datetime:
        """Return since when a conversation must have waited to count as lost and not as under way.

        Jobs are taken in the order in which they were queued. So when this job is taken, those from before the run was
        asked for were taken, too; but some wait for their next attempt, which only an empty queue rules out.
        """
        depth = await asyncio.to_thread(self._backlog.depth)
        # The one that is taken is this.
        idle = depth is not None and depth.waiting == 0 and depth.taken <= 1
        grace = self._settings.grace if idle else self._settings.busy_grace
        return run.requested_at - timedelta(seconds=grace)

    async def _fail(self, run: IndexRun, step: Step, reason: str) -> None:
        metrics.count_run(run.kind, IndexRunStatus.FAILED)
        log.error(RUN_FAILED, run_id=step.run_id, reason=reason)
        await self._conversations.index.report_run(step.run_id, step.progress(IndexRunStatus.FAILED, reason))
