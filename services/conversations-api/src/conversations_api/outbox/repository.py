"""The outbox table: jobs are written in the transaction of the change, and claimed and deleted by the relay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from mh_common.jobs import IndexJob
from mh_common.tracing import traceparent
from mh_common.units import UnitKey
from sqlalchemy import BindParameter, Integer, Table, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import OutboxRow

OUTBOX_WRITTEN: Final = "outbox_written"
"""Key in `session.info`: true if the session has written something to publish. Its commit then wakes the relay."""

_TABLE: Final = cast(Table, OutboxRow.__table__)
_ROW: Final = _TABLE.c
_EARLIER: Final = _TABLE.alias()

# Rows with other jobs were written by another release, whose relay publishes them.
_KNOWN: Final = _ROW.job.in_([job.value for job in IndexJob])

_BY_UNIT: Final = "ix_index_outbox_kind_source_id_ordinal_id"
_KEY: Final = (_ROW.kind, _ROW.source_id, _ROW.ordinal)

# Statements are built once, with bound parameters. The relay executes most of them for each batch.
_INSERT: Final = insert(_TABLE)
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_NOW: Final = bindparam("now", type_=_ROW.claimed_until.type)
_OWNED: Final = and_(_ROW.id.in_(_IDS), _ROW.claimed_by == bindparam("owner"))
_HAS_EARLIER_CLAIM: Final = (
    select(_EARLIER.c.id)
    .where(
        *(_EARLIER.c[column.name] == column for column in _KEY),
        _EARLIER.c.id < _ROW.id,
        _EARLIER.c.claimed_until > _NOW,
    )
    # The table grows and shrinks faster than its statistics are updated. Relying on them, MariaDB sometimes scans the
    # whole table for each candidate.
    .with_hint(_EARLIER, f"FORCE INDEX ({_BY_UNIT})", "mysql")
    .exists()
)
_CANDIDATES: Final = (
    select(_ROW.id, *_KEY, _ROW.job, _ROW.trace_context)
    .where(_KNOWN, or_(_ROW.claimed_until.is_(None), _ROW.claimed_until <= _NOW), ~_HAS_EARLIER_CLAIM)
    .order_by(_ROW.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_FIRST_UNCLAIMED: Final = (
    select(*_KEY, func.min(_ROW.id))
    .with_hint(_TABLE, f"FORCE INDEX ({_BY_UNIT})", "mysql")
    .where(
        _KNOWN,
        # This includes other units of the same sources, which are ignored: planning a list of full keys takes much
        # longer.
        _ROW.kind.in_(bindparam("kinds", expanding=True)),
        _ROW.source_id.in_(bindparam("source_ids", expanding=True)),
        # The sum keeps MySQL from using an index range: it would consider each pair of an id from this list and one
        # from the list above, and take seconds to plan a query that runs in a millisecond.
        (_ROW.id + 0).not_in(_IDS),
    )
    .group_by(*_KEY)
)
_CLAIM: Final = (
    update(_TABLE).where(_ROW.id.in_(_IDS)).values(claimed_by=bindparam("by"), claimed_until=bindparam("until"))
)
_RELEASE: Final = update(_TABLE).where(_OWNED).values(claimed_by=None, claimed_until=None)
_DELETE: Final = delete(_TABLE).where(_OWNED)


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """A job for one unit, claimed by one relay."""

    id: int
    unit: UnitKey
    job: IndexJob
    trace_context: str | None = None


class OutboxRepository:
    """Reads and writes the outbox in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def depth(self) -> int:
        """Return the number of jobs not yet published."""
        return int((await self._session.execute(select(func.count()).select_from(_TABLE))).scalar_one())

    async def oldest(self) -> datetime | None:
        """Return when the oldest unpublished job was written; None if there is none."""
        return (await self._session.execute(select(_ROW.created_at).order_by(_ROW.id).limit(1))).scalar()

    async def unknown_jobs(self) -> list[str]:
        """Return the names of jobs that this release does not know. Their rows are never claimed."""
        return list((await self._session.execute(select(_ROW.job).where(~_KNOWN).distinct())).scalars())

    async def add(self, job: IndexJob, units: Sequence[UnitKey]) -> None:
        """Add `job` for each of these units, in one statement; they are published after the commit."""
        if not units:
            return
        now = datetime.now(UTC)
        same = {"job": job, "created_at": now, "trace_context": traceparent()}
        await self._session.execute(_INSERT, [{**unit._asdict(), **same} for unit in units])
        self._session.info[OUTBOX_WRITTEN] = True

    async def claim(self, owner: str, now: datetime, lease_seconds: float, limit: int) -> list[ClaimedRow]:
        """Claim the oldest unclaimed jobs for `owner` until the lease expires; return them, oldest first.

        A unit's later job is claimed only together with or after its earlier ones, so that its jobs are published in
        the order in which they were written. Several relays can claim concurrently. Commit soon: rows are locked until
        then.
        """
        rows = await self._in_order(await self._candidates(now, limit))
        if rows:
            until = now + timedelta(seconds=lease_seconds)
            await self._session.execute(_CLAIM, {"ids": [row.id for row in rows], "by": owner, "until": until})
        return rows

    async def _candidates(self, now: datetime, limit: int) -> list[ClaimedRow]:
        found = await self._session.execute(_CANDIDATES, {"now": now, "most": limit})
        return [ClaimedRow(row[0], UnitKey(*row[1:4]), IndexJob(row.job), row.trace_context) for row in found]

    async def _in_order(self, candidates: Sequence[ClaimedRow]) -> list[ClaimedRow]:
        """Drop candidates whose unit has an earlier row that another relay is claiming right now.

        That row is locked and so was skipped, and its claim is not committed and so was not seen.
        """
        if not candidates:
            return []
        ids = [row.id for row in candidates]
        kinds, source_ids = ({row.unit.kind for row in candidates}, {row.unit.source_id for row in candidates})
        names = {"kinds": list(kinds), "source_ids": list(source_ids)}
        found = await self._session.execute(_FIRST_UNCLAIMED, {"ids": ids, **names})
        first_unclaimed = {UnitKey(*row[:3]): row[3] for row in found}
        return [row for row in candidates if row.unit not in first_unclaimed or row.id < first_unclaimed[row.unit]]

    async def delete(self, ids: Sequence[int], owner: str) -> None:
        """Delete published jobs, except those whose claim another owner has taken over."""
        if ids:
            await self._session.execute(_DELETE, {"ids": list(ids), "owner": owner})

    async def release(self, ids: Sequence[int], owner: str) -> None:
        """Release claimed jobs that were not published, except those whose claim another owner has taken over."""
        if ids:
            await self._session.execute(_RELEASE, {"ids": list(ids), "owner": owner})
