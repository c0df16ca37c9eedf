"""The index states table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from mh_common.models import IndexStatus, PresentVersion
from sqlalchemy import Select, Table, Update, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ConversationRow, IndexStateRow


@dataclass(frozen=True, slots=True)
class StoredState:
    """An index state beside its conversation's present version."""

    version: int
    status: IndexStatus
    indexed_version: int | None
    attempts: int
    reason: str | None
    queued_at: datetime
    indexed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a report changes in an index state. None leaves the status or the indexed version as it is."""

    attempts: int = 0
    status: IndexStatus | None = None
    reason: str | None = None
    indexed_version: int | None = None


_STORED = (
    ConversationRow.version,
    IndexStateRow.status,
    IndexStateRow.indexed_version,
    IndexStateRow.attempts,
    IndexStateRow.reason,
    IndexStateRow.queued_at,
    IndexStateRow.indexed_at,
)

_JOINED: Final = select(IndexStateRow.conversation_id, *_STORED).join(
    ConversationRow, ConversationRow.id == IndexStateRow.conversation_id
)

_STATES: Final = cast(Table, IndexStateRow.__table__)

# Made once; their values come as parameters.
_INSERT: Final = insert(_STATES)
_QUEUE_AGAIN: Final = (
    update(_STATES)
    .where(_STATES.c.conversation_id.in_(bindparam("ids", expanding=True)))
    .values(status=IndexStatus.PENDING, attempts=0, reason=None, queued_at=bindparam("at"))
)

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class IndexStateRepository:
    """Reads and writes index states in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, conversation_id: int) -> StoredState | None:
        """Return a conversation's index state; None when the conversation does not exist."""
        query = _JOINED.where(IndexStateRow.conversation_id == conversation_id)
        return (await self._read(query)).get(conversation_id)

    async def without_state(self, ids: Collection[int]) -> list[int]:
        """Return those of these conversations that have no state."""
        query = select(IndexStateRow.conversation_id).where(IndexStateRow.conversation_id.in_(ids))
        return sorted(set(ids).difference((await self._session.execute(query)).scalars()))

    async def failed(self, after: int, limit: int) -> dict[int, StoredState]:
        """Return the states of at most `limit` conversations whose indexing failed, with ids above `after`, by id."""
        query = _JOINED.where(IndexStateRow.status == IndexStatus.FAILED, IndexStateRow.conversation_id > after)
        return await self._read(query.order_by(IndexStateRow.conversation_id).limit(limit))

    async def _read(self, query: Select[*tuple[Any, ...]]) -> dict[int, StoredState]:
        return {row[0]: StoredState(*row[1:]) for row in await self._session.execute(query)}

    async def statuses(self) -> dict[IndexStatus, int]:
        """Return the number of states in each status, with 0 where there is none; the table's index has them all."""
        query = select(IndexStateRow.status, func.count()).group_by(IndexStateRow.status)
        found = {row[0]: row[1] for row in await self._session.execute(query)}
        return {status: found.get(status, 0) for status in IndexStatus}

    async def total(self) -> int:
        """Return the number of conversations, of which each should have a state."""
        return int((await self._session.execute(select(func.count()).select_from(ConversationRow))).scalar_one())

    async def oldest_pending(self) -> datetime | None:
        """Return when the conversation that waits longest was queued; None when none waits."""
        query = select(func.min(IndexStateRow.queued_at)).where(IndexStateRow.status == IndexStatus.PENDING)
        return (await self._session.execute(query)).scalar()

    async def failure_reasons(self, limit: int) -> list[tuple[str, int]]:
        """Return the most frequent reasons of failures with the number of each, the most frequent first."""
        reason, count = IndexStateRow.reason, func.count()
        query = select(reason, count).where(IndexStateRow.status == IndexStatus.FAILED).group_by(reason)
        rows = await self._session.execute(query.order_by(count.desc(), reason).limit(limit))
        return [(row[0] or "", row[1]) for row in rows]

    async def versions(self, after: int, limit: int, since: datetime | None) -> list[PresentVersion]:
        """Return the versions of at most `limit` conversations with ids above `after`, by id.

        `since` leaves out those that were changed last before that time. A conversation without a state, which somebody
        else wrote, has waited for ever.
        """
        # By primary key, which holds the texts. An index on (id, version) would be smaller to read, but MariaDB then
        # locks and updates rows by it as well, which can deadlock with those that go by primary key.
        row, state = ConversationRow, IndexStateRow
        query = (
            select(row.id, row.version, state.status, state.queued_at)
            .outerjoin(state, state.conversation_id == row.id)
            .where(row.id > after)
            .order_by(row.id)
            .limit(limit)
        )
        if since is not None:
            query = query.where(row.updated_at >= since)
        return [
            PresentVersion(
                conversation_id=found.id,
                version=found.version,
                status=found.status or IndexStatus.PENDING,
                queued_at=found.queued_at or _LONG_AGO,
            )
            for found in await self._session.execute(query)
        ]

    async def queue_new(self, ids: Sequence[int], at: datetime) -> None:
        """Begin the states of conversations that are new at `at`, in one statement."""
        if ids:
            state = {"status": IndexStatus.PENDING, "attempts": 0, "queued_at": at}
            await self._session.execute(_INSERT, [{"conversation_id": key, **state} for key in ids])

    async def queue_again(self, ids: Sequence[int], at: datetime) -> None:
        """Mark changed conversations as pending from `at` on. What the index holds meanwhile stays noted."""
        if ids:
            await self._session.execute(_QUEUE_AGAIN, {"ids": list(ids), "at": at})

    async def record(self, change: StateChange, ids: Collection[int], at: datetime) -> None:
        """Make the same change to each of these states, in one statement."""
        values: dict[str, Any] = {}
        if change.attempts:
            values["attempts"] = _STATES.c.attempts + change.attempts
        if change.status is not None:
            values |= {"status": change.status, "reason": change.reason}
        if change.indexed_version is not None:
            values |= {"indexed_version": change.indexed_version, "indexed_at": at}
        if ids:
            await self._session.execute(_of(ids).values(values))

    async def lock(self, ids: Collection[int]) -> dict[int, StoredState]:
        """Return the states of those conversations that exist, and hold off changes of these until the commit.

        It is the conversations that are locked, as by everyone who changes one together with its state: one lock, taken
        in one order, so that the version read here stays the present one and no two transactions wait for each other.
        """
        await self.lock_conversations(ids)
        return await self._read(_JOINED.where(IndexStateRow.conversation_id.in_(ids)))

    async def lock_conversations(self, ids: Collection[int]) -> list[int]:
        """Return the ids of those conversations that exist, in order; lock them as `lock` does."""
        row = ConversationRow
        query = select(row.id).where(row.id.in_(ids)).order_by(row.id).with_for_update()
        return list((await self._session.execute(query)).scalars())


def _of(ids: Collection[int]) -> Update:
    return update(_STATES).where(_STATES.c.conversation_id.in_(ids))
