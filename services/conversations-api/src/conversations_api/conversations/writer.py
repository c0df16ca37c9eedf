"""Writes conversations with all that belongs to a change of them.

Every change writes three things in its request's transaction: the conversation, its index state and a job in the
outbox. They are committed together; the relay then publishes the job.
"""

from collections.abc import Sequence
from datetime import datetime

from mh_common.jobs import IndexJob
from mh_common.models import ConversationCreate
from mh_common.units import conversation_units

from conversations_api.conversations.repository import ConversationRepository
from conversations_api.database import AsyncSession
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.units.repository import IndexStateRepository


class ConversationWriter:
    """Adds and deletes conversations in a session, and queues those that were changed; the caller commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._conversations = ConversationRepository(session)
        self._states = IndexStateRepository(session)
        self._outbox = OutboxRepository(session)

    async def add(
        self, items: Sequence[ConversationCreate], at: datetime, import_tag: str | None = None
    ) -> Sequence[int]:
        """Add conversations; return their ids in the order of the items."""
        ids = await self._conversations.add(items, at, import_tag)
        units = conversation_units(ids)
        await self._states.queue_new(units, at)
        await self._outbox.add(IndexJob.CREATED, units)
        return ids

    async def queue_changed(self, ids: Sequence[int], at: datetime) -> None:
        """Queue conversations that were changed in this transaction, at `at`."""
        units = conversation_units(ids)
        await self._states.queue_changed(units, at)
        await self._outbox.add(IndexJob.UPDATED, units)

    async def delete(self, ids: Sequence[int]) -> Sequence[int]:
        """Delete conversations; return the ids of those that existed."""
        deleted = await self._conversations.delete(ids)
        units = conversation_units(deleted)
        # No foreign key cascades to the states, as they belong to units of any kind.
        await self._states.delete(units)
        await self._outbox.add(IndexJob.DELETED, units)
        return deleted
