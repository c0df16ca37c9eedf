"""What can be done with runs: ask for one, claim it, say how far it is.

One run is under way at a time. Its holder has a lease, which each of its reports extends; when the lease is over, the
holder is taken for dead, and the run, or another one, may be claimed. Who claims or reports does so under one lock.
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
    """Reads and changes runs in a session, whose owner commits."""

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
        """Return a run that the worker is told of from the commit on; one like it that waits already is enough."""
        now = self._clock()
        waiting = await self._runs.find_queued(kind, since, force)
        run_id = waiting.id if waiting else await self._runs.add(kind, since, force, now, message_due_at=now)
        await self._send(run_id, now)
        return await self._runs.get(run_id)

    async def add(self, kind: IndexRunKind) -> IndexRun:
        """Return a run that its creator means to claim at once; the worker is told of it should that not happen."""
        now = self._clock()
        waiting = await self._runs.find_queued(kind, since=None, force=False)
        if waiting is not None:
            return waiting
        return await self._runs.get(await self._runs.add(kind, None, False, now, message_due_at=now + _LEASE))

    async def claim(self, run_id: int, owner: str) -> IndexRun:
        """Give the run to `owner` until the lease is over. An owner that has it already keeps it.

        Raises:
            NotFoundError: There is no such run.
            LeaseConflictError: The run is over, or this or another one is with somebody else.
        """
        await self._runs.lock()
        now = self._clock()
        run = await self._runs.get(run_id)
        if run.status in _FINISHED:
            raise LeaseConflictError(f"Index run {run_id} is over.")
        holder = await self._runs.find_holder(now)
        if holder is None:
            begun = {"status": IndexRunStatus.RUNNING, "started_at": now, "owner": owner, **RunCounts().model_dump()}
            await self._runs.update([run_id], **begun)
        elif (holder.run_id, holder.owner) != (run_id, owner):
            raise LeaseConflictError(f"Index run {holder.run_id} is under way. One runs at a time.")
        return await self._extend(run_id, now)

    async def report(self, run_id: int, progress: IndexRunProgress) -> IndexRun:
        """Note how far the run is and extend its lease, or end it. The same report may come twice.

        Raises:
            NotFoundError: There is no such run.
            LeaseConflictError: The run passed to somebody else, or another one is under way, or it ended otherwise.
        """
        await self._runs.lock()
        now = self._clock()
        run = await self._runs.get(run_id)
        holder = await self._runs.find_holder(now)
        passed_on = holder is not None and holder.run_id != run_id
        if await self._runs.find_owner(run_id) != progress.owner or (passed_on and run.status not in _FINISHED):
            raise LeaseConflictError(f"Index run {run_id} is not with this owner any more.")
        if run.status in _FINISHED:
            if run.status is not progress.status:
                raise LeaseConflictError(f"Index run {run_id} is over.")
            return run
        await self._runs.update([run_id], **progress.model_dump(exclude={"owner"}))
        if progress.status in _FINISHED:
            return await self._end(run_id, now)
        return await self._extend(run_id, now)

    async def _extend(self, run_id: int, now: datetime) -> IndexRun:
        # While its holder lives, nobody else needs to be told of the run.
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
