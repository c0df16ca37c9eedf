"""The index runs table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mh_common.errors import NotFoundError
from mh_common.models import IndexRun, IndexRunKind, IndexRunStatus, RunCounts
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import IndexRunRow

_ACTIVE: Final = IndexRunRow.status.in_([IndexRunStatus.QUEUED, IndexRunStatus.RUNNING])
_LATEST_FIRST: Final = select(IndexRunRow).order_by(IndexRunRow.id.desc())


@dataclass(frozen=True, slots=True)
class Holder:
    """The current or last holder of a run's lease."""

    run_id: int
    owner: str | None


@dataclass(frozen=True, slots=True)
class DueRun:
    """A run for which a message to the worker is due."""

    id: int
    kind: IndexRunKind


class IndexRunRepository:
    """Reads and writes runs in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self, kind: IndexRunKind, since: datetime | None, force: bool, at: datetime, message_due_at: datetime
    ) -> int:
        """Add a queued run; return its id."""
        row = IndexRunRow(
            kind=kind,
            since=since,
            force=force,
            status=IndexRunStatus.QUEUED,
            requested_at=at,
            message_due_at=message_due_at,
            **RunCounts().model_dump(),
        )
        self._session.add(row)
        await self._session.flush()
        return row.id

    async def get(self, run_id: int) -> IndexRun:
        """Return a run. Raises `NotFoundError`."""
        row = await self._session.get(IndexRunRow, run_id, populate_existing=True)
        if row is None:
            raise NotFoundError(f"There is no index run {run_id}.")
        return _run(row)

    async def latest(self, limit: int) -> list[IndexRun]:
        """Return the latest runs, newest first."""
        return [_run(row) for row in await self._session.scalars(_LATEST_FIRST.limit(limit))]

    async def find_queued(self, kind: IndexRunKind, since: datetime | None, force: bool) -> IndexRun | None:
        """Return the newest queued run with the same parameters."""
        same = (IndexRunRow.kind == kind, IndexRunRow.since == since, IndexRunRow.force.is_(force))
        query = _LATEST_FIRST.where(IndexRunRow.status == IndexRunStatus.QUEUED, *same)
        row = await self._session.scalar(query.limit(1))
        return None if row is None else _run(row)

    async def lock(self) -> None:
        """Block concurrent claims and reports of any run until the commit.

        All of them lock the same row, the oldest run, whichever run they are about.
        """
        await self._session.execute(select(IndexRunRow.id).order_by(IndexRunRow.id).limit(1).with_for_update())

    async def find_holder(self, now: datetime) -> Holder | None:
        """Return the holder of the running run; None if there is none or its lease has expired."""
        held = (IndexRunRow.status == IndexRunStatus.RUNNING, IndexRunRow.lease_until > now)
        query = select(IndexRunRow.id, IndexRunRow.owner).where(*held).order_by(IndexRunRow.lease_until.desc())
        row = (await self._session.execute(query.limit(1))).one_or_none()
        return None if row is None else Holder(*row)

    async def find_owner(self, run_id: int) -> str | None:
        """Return the current or last owner of this run; None if nobody has claimed it yet."""
        return (await self._session.execute(select(IndexRunRow.owner).where(IndexRunRow.id == run_id))).scalar()

    async def find_waiting(self, now: datetime) -> int | None:
        """Return the oldest unfinished run that nobody holds."""
        free = or_(IndexRunRow.lease_until.is_(None), IndexRunRow.lease_until <= now)
        query = select(IndexRunRow.id).where(_ACTIVE, free).order_by(IndexRunRow.id).limit(1)
        return (await self._session.execute(query)).scalar()

    async def update(self, ids: Sequence[int], **values: Any) -> None:
        """Change these runs."""
        if ids:
            statement = update(IndexRunRow).where(IndexRunRow.id.in_(ids)).values(values)
            await self._session.execute(statement)

    async def claim_due(self, now: datetime, again_at: datetime) -> list[DueRun]:
        """Return the runs whose message to the worker is due, and postpone their next message until `again_at`.

        Several relays can do this concurrently: each run goes to one of them.
        """
        query = (
            select(IndexRunRow.id, IndexRunRow.kind)
            .where(IndexRunRow.message_due_at <= now, IndexRunRow.kind.in_(list(IndexRunKind)))
            .order_by(IndexRunRow.message_due_at)
            .with_for_update(skip_locked=True)
        )
        due = [DueRun(row.id, row.kind) for row in await self._session.execute(query)]
        await self.update([run.id for run in due], message_due_at=again_at)
        return due


def _run(row: IndexRunRow) -> IndexRun:
    return IndexRun.model_validate(row, from_attributes=True)
