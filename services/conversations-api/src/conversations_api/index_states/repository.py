"""The index states table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mh_common.models import IndexStatus
from sqlalchemy import func, insert, select, update

from conversations_api.database import Executor
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


class IndexStateRepository:
    """Reads and writes index states; what it writes, within the session's transaction."""

    def __init__(self, session: Executor) -> None:
        self.session = session

    async def queue_new(self, ids: Sequence[int], at: datetime) -> None:
        """Begin the states of conversations that are new at `at`, in one statement."""
        if ids:
            state = {"status": IndexStatus.PENDING, "attempts": 0, "queued_at": at}
            await self.session.execute(insert(IndexStateRow), [{"conversation_id": key, **state} for key in ids])

    async def queue_again(self, ids: Sequence[int], at: datetime) -> None:
        """Mark changed conversations as pending from `at` on. What the index holds meanwhile stays noted."""
        await self._update(ids, {"status": IndexStatus.PENDING, "attempts": 0, "reason": None, "queued_at": at})

    async def record(self, change: StateChange, ids: Collection[int], at: datetime) -> None:
        """Make the same change to each of these states, in one statement."""
        values: dict[str, Any] = {}
        if change.attempts:
            values["attempts"] = IndexStateRow.attempts + change.attempts
        if change.status is not None:
            values |= {"status": change.status, "reason": change.reason}
        if change.indexed_version is not None:
            values |= {"indexed_version": change.indexed_version, "indexed_at": at}
        await self._update(ids, values)

    async def _update(self, ids: Collection[int], values: dict[str, Any]) -> None:
        if ids:
            statement = update(IndexStateRow).where(IndexStateRow.conversation_id.in_(ids)).values(values)
            # The session holds no row as an object that would have to follow the change.
            await self.session.execute(statement.execution_options(synchronize_session=False))

    async def find(self, conversation_id: int) -> StoredState | None:
        """Return a conversation's index state; None when the conversation does not exist."""
        return (await self._read([conversation_id])).get(conversation_id)

    async def lock(self, ids: Collection[int]) -> dict[int, StoredState]:
        """Return the states of those conversations that exist, and hold off changes of these until the commit.

        It is the conversations that are locked, as by everyone who changes one together with its state: one lock, taken
        in one order, so that the version read here stays the present one and no two transactions wait for each other.
        """
        key = ConversationRow.id
        await self.session.execute(select(key).where(key.in_(ids)).order_by(key).with_for_update())
        return await self._read(ids)

    async def _read(self, ids: Collection[int]) -> dict[int, StoredState]:
        query = (
            select(IndexStateRow.conversation_id, *_STORED)
            .join(ConversationRow, ConversationRow.id == IndexStateRow.conversation_id)
            .where(IndexStateRow.conversation_id.in_(ids))
        )
        return {row[0]: StoredState(*row[1:]) for row in await self.session.execute(query)}

    async def statuses(self) -> dict[IndexStatus, int]:
        """Return the number of conversations in each status, with 0 where there is none."""
        query = select(IndexStateRow.status, func.count()).group_by(IndexStateRow.status)
        found = {row[0]: row[1] for row in await self.session.execute(query)}
        return {status: found.get(status, 0) for status in IndexStatus}
