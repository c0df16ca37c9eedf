"""Writes conversations with all that belongs to a change of them.

Every change writes four things in its request's transaction: the conversation, what it was before, its index state and
a job in the outbox. They are committed together; the relay then publishes the job.
"""

from collections.abc import Sequence
from datetime import datetime

from mh_common.fields import Origin
from mh_common.jobs import IndexJob
from mh_common.models import ConversationCreate
from mh_common.units import conversation_units

from conversations_api.conversations.editing import Editor
from conversations_api.conversations.repository import ConversationRepository
from conversations_api.conversations.versions import VersionRepository
from conversations_api.database import AsyncSession
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.units.repository import IndexStateRepository


class ConversationWriter:
    """Adds and deletes conversations in a session, and queues those that were changed; the caller commits."""

    def __init__(self, session: AsyncSession, editor: Editor) -> None:
        self._editor = editor
        self._conversations = ConversationRepository(session)
        self._versions = VersionRepository(session)
        self._states = IndexStateRepository(session)
        self._outbox = OutboxRepository(session)

    async def add(
        self,
        items: Sequence[ConversationCreate],
        at: datetime,
        *,
        origin: Origin | None = None,
        import_tag: str | None = None,
    ) -> Sequence[int]:
        """Add conversations, by default of the editor's origin; return their ids in the order of the items."""
        provenance = {
            "created_by": self._editor.user_id,
            "updated_by": self._editor.user_id,
            "origin": origin or self._editor.origin,
            "import_tag": import_tag,
        }
        ids = await self._conversations.add(items, at, provenance)
        units = conversation_units(ids)
        await self._states.queue_new(units, at)
        await self._outbox.add(IndexJob.CREATED, units)
        return ids

    async def keep_versions(self, ids: Sequence[int]) -> None:
        """Keep what conversations are, before this transaction changes them; they are locked."""
        if ids and self._editor.keeps_versions:
            await self._versions.keep(ids)

    async def queue_reviewed(self, ids: Sequence[int], at: datetime) -> None:
        """Queue conversations that were reviewed in this transaction: what screening found still applies to them."""
        units = conversation_units(ids)
        await self._states.queue_again(units, at)
        await self._outbox.add(IndexJob.UPDATED, units)

    async def queue_changed(self, ids: Sequence[int], at: datetime) -> None:
        """Queue conversations that were changed in this transaction, at `at`."""
        units = conversation_units(ids)
        await self._states.queue_changed(units, at)
        await self._outbox.add(IndexJob.UPDATED, units)

    async def delete(self, ids: Sequence[int]) -> Sequence[int]:
        """Delete conversations; return the ids of those that existed."""
        deleted = await self._conversations.delete(ids)
        units = conversation_units(deleted)
        # No foreign key cascades to the states, as they belong to units of any kind; one does to earlier versions.
        await self._states.delete(units)
        await self._outbox.add(IndexJob.DELETED, units)
        return deleted
