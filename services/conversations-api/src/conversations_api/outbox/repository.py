"""The outbox table: jobs written with the change they belong to, claimed and deleted by the relay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from mh_common.jobs import IndexJob
from mh_common.tracing import traceparent
from sqlalchemy import Table, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from conversations_api.models import OutboxRow

OUTBOX_WRITTEN: Final = "outbox_written"
"""Key in `session.info`: true once the session owes the worker a message. Its commit then wakes the relay."""

# Whatever else stands there was written by another release, whose relay knows what to do with it.
_KNOWN: Final = OutboxRow.job.in_([job.value for job in IndexJob])

_BY_CONVERSATION: Final = "ix_index_outbox_conversation_id_id"

_TABLE: Final = cast(Table, OutboxRow.__table__)


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """A job for one conversation, reserved for one relay."""

    id: int
    conversation_id: int
    job: IndexJob
    trace_context: str | None = None


class OutboxRepository:
    """Reads and writes the outbox in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def depth(self) -> int:
        """Return the number of jobs not yet delivered."""
        return int((await self._session.execute(select(func.count()).select_from(OutboxRow))).scalar_one())

    async def oldest(self) -> datetime | None:
        """Return when the oldest undelivered job was written; None when all are delivered."""
        return (await self._session.execute(select(OutboxRow.created_at).order_by(OutboxRow.id).limit(1))).scalar()

    async def unknown_jobs(self) -> list[str]:
        """Return the names of jobs that this release does not know. Their rows are never claimed."""
        return list((await self._session.execute(select(OutboxRow.job).where(~_KNOWN).distinct())).scalars())

    async def add(self, job: IndexJob, ids: Sequence[int]) -> None:
        """Owe `job` for each of these conversations, in one statement, from the moment the session commits."""
        if not ids:
            return
        now = datetime.now(UTC)
        same = {"job": job, "created_at": now, "trace_context": traceparent()}
        await self._session.execute(insert(_TABLE), [{"conversation_id": key, **same} for key in ids])
        self._session.info[OUTBOX_WRITTEN] = True

    async def claim(self, owner: str, now: datetime, lease_seconds: float, limit: int) -> list[ClaimedRow]:
        """Reserve the oldest free jobs for `owner` until the lease ends; return them, oldest first.

        A conversation's later job is claimed only together with or after its earlier ones, so that its jobs leave in
        the order in which they were written. Several relays may claim at once. Commit soon: rows are locked until then.
        """
        found = await self._candidates(now, limit)
        rows = await self._in_turn(found)
        if rows:
            until = now + timedelta(seconds=lease_seconds)
            ids = [row.id for row in rows]
            claim = update(OutboxRow).where(OutboxRow.id.in_(ids)).values(claimed_by=owner, claimed_until=until)
            await self._session.execute(claim)
        return rows

    async def _candidates(self, now: datetime, limit: int) -> list[ClaimedRow]:
        earlier = aliased(OutboxRow)
        behind_a_live_claim = (
            select(earlier.id)
            .where(
                earlier.conversation_id == OutboxRow.conversation_id,
                earlier.id < OutboxRow.id,
                earlier.claimed_until > now,
            )
            # The table grows and empties faster than its statistics follow. Left to them, MariaDB at times reads all of
            # it once for each candidate.
            .with_hint(earlier, f"FORCE INDEX ({_BY_CONVERSATION})", "mysql")
            .exists()
        )
        query = (
            select(OutboxRow.id, OutboxRow.conversation_id, OutboxRow.job, OutboxRow.trace_context)
            .where(_KNOWN, or_(OutboxRow.claimed_until.is_(None), OutboxRow.claimed_until <= now), ~behind_a_live_claim)
            .order_by(OutboxRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = await self._session.execute(query)
        return [ClaimedRow(row.id, row.conversation_id, IndexJob(row.job), row.trace_context) for row in found]

    async def _in_turn(self, candidates: Sequence[ClaimedRow]) -> list[ClaimedRow]:
        """Leave out rows behind one that another relay is claiming right now.

        Such a row is locked and so was skipped, while its claim is not yet committed and so was not seen.
        """
        if not candidates:
            return []
        query = (
            select(OutboxRow.conversation_id, func.min(OutboxRow.id))
            .where(
                _KNOWN,
                OutboxRow.conversation_id.in_({row.conversation_id for row in candidates}),
                # A sum, which is no range of an index: MySQL would consider each pair of an id of this list and one of
                # the list above, and take seconds to plan what then runs in a millisecond.
                (OutboxRow.id + 0).not_in([row.id for row in candidates]),
            )
            .group_by(OutboxRow.conversation_id)
        )
        first_left = {row[0]: row[1] for row in await self._session.execute(query)}
        return [
            row
            for row in candidates
            if row.conversation_id not in first_left or row.id < first_left[row.conversation_id]
        ]

    async def delete(self, ids: Sequence[int], owner: str) -> None:
        """Forget delivered jobs, but for those whose claim has passed to another owner."""
        if ids:
            statement = delete(OutboxRow).where(OutboxRow.id.in_(ids), OutboxRow.claimed_by == owner)
            await self._session.execute(statement)

    async def release(self, ids: Sequence[int], owner: str) -> None:
        """Give claimed jobs back undelivered, but for those whose claim has passed to another owner."""
        if ids:
            held = update(OutboxRow).where(OutboxRow.id.in_(ids), OutboxRow.claimed_by == owner)
            free = held.values(claimed_by=None, claimed_until=None)
            await self._session.execute(free)
