"""What can be done with conversations.

Each change goes the same way, in the one transaction of its request: the conversation itself, its index state, and the
job that is owed to the worker. What is committed is committed together; the relay takes the job on from there.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mh_common.jobs import IndexJob
from mh_common.models import (
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    ConversationUpdate,
    IndexStatus,
)

from conversations_api.conversations import cursor
from conversations_api.conversations.etags import require_version
from conversations_api.conversations.filters import ListQuery
from conversations_api.conversations.repository import ConversationQueries, ConversationRepository
from conversations_api.database import ReaderFactory, Session
from conversations_api.idempotency.repository import Done, IdempotencyRepository, KeyedRequest
from conversations_api.index_states.repository import IndexStateReads, IndexStateRepository
from conversations_api.outbox.repository import OutboxRepository


class ConversationReads:
    """Reads conversations. One serves the whole application: each call takes a connection and gives it back."""

    def __init__(self, readers: ReaderFactory) -> None:
        self._readers = readers

    async def get(self, conversation_id: int) -> Conversation:
        """Return a conversation. Raises `NotFoundError`."""
        async with self._readers() as reader:
            return await ConversationQueries(reader).get(conversation_id)

    async def list(self, query: ListQuery) -> ConversationPage:
        """Return one page; its `total` is set only when asked for. Raises `InvalidRequestError` for a bad cursor."""
        after = cursor.decode(query)
        async with self._readers() as reader:
            conversations = ConversationQueries(reader)
            found = await conversations.list(query, query.sort, after, query.limit + 1)
            items = found[: query.limit]
            more = len(found) > query.limit
            next_cursor = cursor.encode(cursor.Position.of(items[-1], query.sort), query) if more else None
            page = ConversationPage(items=list(items), next_cursor=next_cursor)
            if query.include_total:
                page.total = await conversations.count(query)
        return page

    async def stats(self) -> ConversationStats:
        """Count conversations by what they are."""
        async with self._readers() as reader:
            # Before the conversations: what is indexed in between then counts as pending, and not the other way round.
            counted = await IndexStateReads(reader).statuses()
            return await ConversationQueries(reader).stats(
                indexed=counted[IndexStatus.INDEXED], failed=counted[IndexStatus.FAILED]
            )


class ConversationService:
    """Changes conversations. The session's owner commits."""

    def __init__(self, session: Session) -> None:
        self.conversations = ConversationRepository(session)
        self.index_states = IndexStateRepository(session)
        self.outbox = OutboxRepository(session)
        self.keys = IdempotencyRepository(session)

    async def add(self, items: Sequence[ConversationCreate], request: KeyedRequest | None) -> Done:
        """Add conversations, all of them or none; a repeated request adds nothing and returns the first one's keys."""
        now = datetime.now(UTC)
        if request and (done := await self.keys.take(request, now)):
            return done
        ids = await self.conversations.add(items, now)
        await self.index_states.queue_new(ids, now)
        await self.outbox.add(IndexJob.CREATED, ids)
        return await self._done(request, ids, now)

    async def replace(
        self, conversation_id: int, content: ConversationCreate, if_match: Sequence[str] | None
    ) -> Conversation:
        """Give a conversation new content. Raises `NotFoundError`, `VersionConflictError`."""
        return await self._change(conversation_id, content.model_dump(), if_match)

    async def update(
        self, conversation_id: int, update: ConversationUpdate, if_match: Sequence[str] | None
    ) -> Conversation:
        """Change some fields of a conversation. Raises `NotFoundError`, `VersionConflictError`."""
        return await self._change(conversation_id, update.changes(), if_match)

    async def _change(
        self, conversation_id: int, values: Mapping[str, Any], if_match: Sequence[str] | None
    ) -> Conversation:
        present = await self.conversations.get(conversation_id, for_update=True)
        require_version(if_match, present.version)
        changed = present.model_copy(update=dict(values))
        if changed == present:
            return present
        changed.version += 1
        # Strictly later, also where the clock was set back.
        changed.updated_at = max(datetime.now(UTC), present.updated_at + timedelta(microseconds=1))
        changed.index_status = IndexStatus.PENDING
        await self.conversations.update(changed)
        await self.index_states.queue_again([conversation_id], changed.updated_at)
        await self.outbox.add(IndexJob.UPDATED, [conversation_id])
        return changed

    async def delete(self, conversation_id: int, if_match: Sequence[str] | None) -> None:
        """Delete a conversation. Raises `NotFoundError`, `VersionConflictError`."""
        present = await self.conversations.get(conversation_id, for_update=True)
        require_version(if_match, present.version)
        await self.conversations.delete([conversation_id])
        await self.outbox.add(IndexJob.DELETED, [conversation_id])

    async def delete_many(self, ids: Sequence[int], request: KeyedRequest | None) -> Done:
        """Delete conversations; those that do not exist are passed over, and not named in what is returned."""
        now = datetime.now(UTC)
        if request and (done := await self.keys.take(request, now)):
            return done
        deleted = await self.conversations.delete(ids)
        await self.outbox.add(IndexJob.DELETED, deleted)
        return await self._done(request, deleted, now)

    async def _done(self, request: KeyedRequest | None, ids: Sequence[int], at: datetime) -> Done:
        done = Done(ids, at)
        if request:
            await self.keys.keep(request, done)
        return done
