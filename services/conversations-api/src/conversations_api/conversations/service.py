"""Operations on conversations, one by one and many at once. What concerns imports is in `import_service`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from mh_common.fields import FIELDS
from mh_common.models import (
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    ConversationUpdate,
    IndexStatus,
)
from mh_common.units import CONVERSATION

from conversations_api.clock import Clock, utc_now
from conversations_api.conversations import cursor
from conversations_api.conversations.contents import computed
from conversations_api.conversations.etags import require_version
from conversations_api.conversations.filters import ConversationFilters, ListQuery, Sort
from conversations_api.conversations.repository import ConversationRepository
from conversations_api.conversations.writer import ConversationWriter
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.idempotency.repository import IdempotencyRepository, IdempotentResult, KeyedRequest
from conversations_api.units.repository import IndexStateRepository

_DERIVED: Final = {field.name for field in FIELDS if field.derived}
_STORED: Final = Conversation.model_fields.keys() - {"index_status"} - _DERIVED

EXPORT_PAGE: Final = 100
"""Rows of an export that are read in one query."""


class ConversationService:
    """Reads and changes conversations in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._conversations = ConversationRepository(session)
        self._writer = ConversationWriter(session)
        self._states = IndexStateRepository(session)
        self._keys = IdempotencyRepository(session)
        self._clock = clock

    async def get(self, conversation_id: int) -> Conversation:
        """Return a conversation. Raises `NotFoundError`."""
        return await self._conversations.get(conversation_id)

    async def list(self, query: ListQuery) -> ConversationPage:
        """Return one page, with `total` only if requested. Raises `InvalidRequestError` for an invalid cursor."""
        after = cursor.decode(query)
        found = await self._conversations.list(query, query.sort, after, query.limit + 1)
        items = found[: query.limit]
        more = len(found) > query.limit
        next_cursor = cursor.encode(cursor.Position.of(items[-1], query.sort), query) if more else None
        page = ConversationPage(items=list(items), next_cursor=next_cursor)
        if query.include_total:
            page.total = await self._conversations.count(query)
        return page

    async def stats(self) -> ConversationStats:
        """Count conversations by sentiments, month, index status, risk level and unsafe advice."""
        # Before counting the conversations: what is indexed in between still counts as pending.
        counts = await self._states.statuses(CONVERSATION)
        indexed, failed = counts[IndexStatus.INDEXED], counts[IndexStatus.FAILED]
        risk_levels = await self._states.risk_levels(CONVERSATION)
        unsafe_advice = await self._states.unsafe_advice(CONVERSATION)
        return await self._conversations.stats(indexed, failed, risk_levels, unsafe_advice)

    async def add(self, items: Sequence[ConversationCreate], request: KeyedRequest | None) -> IdempotentResult:
        """Add conversations, all or none; a repeated request adds nothing and returns the first one's result."""
        now = self._clock()
        if request and (result := await self._keys.claim(request, now)):
            return result
        return await self._keys.save_result(request, IdempotentResult(await self._writer.add(items, now), now))

    async def replace(
        self, conversation_id: int, content: ConversationCreate, if_match: Sequence[str] | None
    ) -> Conversation:
        """Replace a conversation's content. Raises `NotFoundError`, `VersionConflictError`."""
        return await self._change(conversation_id, content.model_dump(), if_match)

    async def update(
        self, conversation_id: int, update: ConversationUpdate, if_match: Sequence[str] | None
    ) -> Conversation:
        """Change some fields of a conversation. Raises `NotFoundError`, `VersionConflictError`."""
        return await self._change(conversation_id, update.changes(), if_match)

    async def _change(
        self, conversation_id: int, values: Mapping[str, Any], if_match: Sequence[str] | None
    ) -> Conversation:
        row = await self._conversations.lock(conversation_id)
        require_version(if_match, row.version)
        if all(getattr(row, name) == value for name, value in values.items()):
            return await self._conversations.get(conversation_id)
        for name, value in {**values, **_recomputed(row, values)}.items():
            setattr(row, name, value)
        row.version += 1
        # Strictly increasing, even if the clock was set back.
        row.updated_at = max(self._clock(), row.updated_at + timedelta(microseconds=1))
        await self._writer.queue_changed([conversation_id], row.updated_at)
        stored = {name: getattr(row, name) for name in _STORED}
        return Conversation(index_status=IndexStatus.PENDING, **stored)

    async def delete(self, conversation_id: int, if_match: Sequence[str] | None) -> None:
        """Delete a conversation. Raises `NotFoundError`, `VersionConflictError`."""
        row = await self._conversations.lock(conversation_id)
        require_version(if_match, row.version)
        await self._writer.delete([conversation_id])

    async def delete_many(self, ids: Sequence[int], request: KeyedRequest | None) -> IdempotentResult:
        """Delete conversations; the result lists the ids of those that existed."""
        now = self._clock()
        if request and (result := await self._keys.claim(request, now)):
            return result
        return await self._keys.save_result(request, IdempotentResult(await self._writer.delete(ids), now))


def _recomputed(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the computed columns of a row that gets these values, if its texts are among them."""
    if not values.keys() & {"question", "answer"}:
        return {}
    return computed(values.get("question", row.question), values.get("answer", row.answer))


async def export_pages(sessions: SessionFactory, filters: ConversationFilters) -> AsyncIterator[Sequence[Conversation]]:
    """Yield the conversations that match the filters in the order of their ids, in pages of at most `EXPORT_PAGE`.

    Each page is a query of its own: memory does not grow with the export, and a slow client holds no connection. Raises
    `UnavailableError`.
    """
    last: cursor.Position | None = None
    while True:
        with database_errors():
            async with sessions() as session:
                page = await ConversationRepository(session).list(filters, Sort.ID, last, EXPORT_PAGE)
        yield page
        if len(page) < EXPORT_PAGE:
            return
        last = cursor.Position.of(page[-1], Sort.ID)
