"""Operations on runs: request, claim, report progress.

Only one run is running at a time. Its holder has a lease, which each report extends. When the lease expires, the holder
is considered dead, and the run, or another one, can be claimed. All claims and reports are serialised by one lock.
"""

from datetime import datetime, timedelta
from typing import Final

from mh_common.errors import LeaseConflictError
from mh_common.jobs import RUN_LEASE
from mh_common.models import IndexRun, IndexRunKind, IndexRunProgress, IndexRunStatus, RunCounts

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.index_runs.repository import IndexRunRepository
from conversations_api.outbox.repository import OUTBOX_WRITTEN

_LEASE: Final = timedelta(seconds=RUN_LEASE)
_FINISHED: Final = frozenset({IndexRunStatus.DONE, IndexRunStatus.FAILED})


class IndexRunService:
    """Reads and changes runs in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._session = session
        self._runs = IndexRunRepository(session)
        self._clock = clock

    async def get(self, run_id: int) -> IndexRun:
        """Return a run. Raises `NotFoundError`."""
        return await self._runs.get(run_id)

    async def latest(self, limit: int) -> list[IndexRun]:
        """Return the latest runs, newest first."""
        return await self._runs.latest(limit)

    async def request(self, kind: IndexRunKind, since: datetime | None = None, force: bool = False) -> IndexRun:
        """Queue a run, or reuse a queued one with the same parameters; its message is sent after the commit."""
        now = self._clock()
        waiting = await self._runs.find_queued(kind, since, force)
        run_id = waiting.id if waiting else await self._runs.add(kind, since, force, now, message_due_at=now)
        await self._send(run_id, now)
        return await self._runs.get(run_id)

    async def add(self, kind: IndexRunKind) -> IndexRun:
        """Queue a run, or reuse a queued one, for the caller to claim; if nobody does, a message is sent later."""
        now = self._clock()
        waiting = await self._runs.find_queued(kind, since=None, force=False)
        if waiting is not None:
            return waiting
        return await self._runs.get(await self._runs.add(kind, None, False, now, message_due_at=now + _LEASE))

    async def claim(self, run_id: int, owner: str) -> IndexRun:
        """Give the run's lease to `owner`, or extend it if `owner` already holds it.

        Raises:
            NotFoundError: The run does not exist.
            LeaseConflictError: The run has finished, somebody else holds it, or another run is running.
        """
        await self._runs.lock()
        now = self._clock()
        run = await self._runs.get(run_id)
        if run.status in _FINISHED:
            raise LeaseConflictError(f"Index run {run_id} has finished.")
        holder = await self._runs.find_holder(now)
        if holder is None:
            started = {"status": IndexRunStatus.RUNNING, "started_at": now, "owner": owner, **RunCounts().model_dump()}
            await self._runs.update([run_id], **started)
        elif (holder.run_id, holder.owner) != (run_id, owner):
            raise LeaseConflictError(f"Index run {holder.run_id} is running. Only one can run at a time.")
        return await self._extend(run_id, now)

    async def report(self, run_id: int, progress: IndexRunProgress) -> IndexRun:
        """Store the run's progress and extend its lease, or finish the run. Repeating a report is harmless.

        Raises:
            NotFoundError: The run does not exist.
            LeaseConflictError: Another owner took the run over, another run is running, or this one has already
                finished with a different status.
        """
        await self._runs.lock()
        now = self._clock()
        run = await self._runs.get(run_id)
        holder = await self._runs.find_holder(now)
        another_runs = holder is not None and holder.run_id != run_id
        if await self._runs.find_owner(run_id) != progress.owner or (another_runs and run.status not in _FINISHED):
            raise LeaseConflictError(f"Index run {run_id} is no longer held by this owner.")
        if run.status in _FINISHED:
            if run.status is not progress.status:
                raise LeaseConflictError(f"Index run {run_id} has finished.")
            return run
        await self._runs.update([run_id], **progress.model_dump(exclude={"owner"}))
        if progress.status in _FINISHED:
            return await self._end(run_id, now)
        return await self._extend(run_id, now)

    async def _extend(self, run_id: int, now: datetime) -> IndexRun:
        # While its holder is alive, no other worker needs a message about the run.
        await self._runs.update([run_id], lease_until=now + _LEASE, message_due_at=now + _LEASE)
        return await self._runs.get(run_id)

    async def _end(self, run_id: int, now: datetime) -> IndexRun:
        await self._runs.update([run_id], finished_at=now, lease_until=None, message_due_at=None)
        following = await self._runs.find_waiting(now)
        if following is not None:
            await self._send(following, now)
        return await self._runs.get(run_id)

    async def _send(self, run_id: int, now: datetime) -> None:
        await self._runs.update([run_id], message_due_at=now)
        self._session.info[OUTBOX_WRITTEN] = True
