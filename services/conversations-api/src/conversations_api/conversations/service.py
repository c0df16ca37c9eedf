"""Operations on conversations, one by one and many at once. What concerns imports is in `import_service`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from mh_common.errors import NotFoundError
from mh_common.fields import FIELDS, ReviewState
from mh_common.models import (
    BulkReviewed,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    ConversationUpdate,
    ConversationVersion,
    ConversationVersionPage,
    IndexStatus,
)
from mh_common.units import CONVERSATION

from conversations_api.clock import Clock, utc_now
from conversations_api.conversations import cursor
from conversations_api.conversations.contents import computed
from conversations_api.conversations.editing import NOBODY, Editor
from conversations_api.conversations.etags import require_version
from conversations_api.conversations.filters import ConversationFilters, ListQuery, Sort
from conversations_api.conversations.repository import ConversationRepository
from conversations_api.conversations.reviews import NOT_REVIEWED, ReviewRepository
from conversations_api.conversations.versions import CONTENT, VersionRepository
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

    def __init__(self, session: AsyncSession, editor: Editor = NOBODY, clock: Clock = utc_now) -> None:
        self._editor = editor
        self._conversations = ConversationRepository(session)
        self._versions = VersionRepository(session)
        self._reviews = ReviewRepository(session)
        self._writer = ConversationWriter(session, editor)
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
        """Count conversations by sentiments, month, index status, risk level, unsafe advice and review state."""
        # Before counting the conversations: what is indexed in between still counts as pending.
        counts = await self._states.statuses(CONVERSATION)
        indexed, failed = counts[IndexStatus.INDEXED], counts[IndexStatus.FAILED]
        risk_levels = await self._states.risk_levels(CONVERSATION)
        unsafe_advice = await self._states.unsafe_advice(CONVERSATION)
        counted = await self._conversations.stats(indexed, failed, risk_levels, unsafe_advice)
        return counted.model_copy(update={"review_state": await self._reviews.counts()})

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
        await self._writer.keep_versions([conversation_id])
        for name, value in {**values, **_consequences(row, values), "updated_by": self._editor.user_id}.items():
            setattr(row, name, value)
        row.version += 1
        # Strictly increasing, even if the clock was set back.
        row.updated_at = max(self._clock(), row.updated_at + timedelta(microseconds=1))
        await self._writer.queue_changed([conversation_id], row.updated_at)
        stored = {name: getattr(row, name) for name in _STORED}
        return Conversation(index_status=IndexStatus.PENDING, **stored)

    async def review(self, conversation_id: int, state: ReviewState, if_match: Sequence[str] | None) -> Conversation:
        """Approve or reject a conversation, or take that back. Raises `NotFoundError`, `VersionConflictError`."""
        row = await self._conversations.lock(conversation_id)
        require_version(if_match, row.version)
        if row.review_state is not state:
            await self._set_review([conversation_id], state)
        return await self._conversations.get(conversation_id)

    async def review_many(self, ids: Sequence[int], state: ReviewState) -> BulkReviewed:
        """Approve or reject conversations, or take that back; say how many there are, and how many it changes."""
        found = await self._reviews.lock(ids)
        changed = [key for key, former in found.items() if former is not state]
        if changed:
            await self._set_review(changed, state)
        return BulkReviewed(found=len(found), changed=len(changed))

    async def _set_review(self, ids: Sequence[int], state: ReviewState) -> None:
        now = self._clock()
        await self._reviews.set(ids, state, self._editor.user_id, now)
        await self._writer.queue_reviewed(ids, now)

    async def versions(self, conversation_id: int, before: int | None, limit: int) -> ConversationVersionPage:
        """Return versions of a conversation, newest first: the current one, then those that were kept.

        `before` is the last version of the previous page. Raises `NotFoundError`.
        """
        current = _version_of(await self._conversations.get(conversation_id))
        found = await self._versions.list(conversation_id, before or current.version, limit + 1)
        items = [current, *found] if before is None else list(found)
        last = str(items[limit - 1].version) if len(items) > limit else None
        return ConversationVersionPage(items=items[:limit], next_cursor=last)

    async def version(self, conversation_id: int, number: int) -> ConversationVersion:
        """Return a conversation as it was in one of its versions. Raises `NotFoundError`."""
        current = _version_of(await self._conversations.get(conversation_id))
        if number == current.version:
            return current
        if (found := await self._versions.find(conversation_id, number)) is None:
            raise NotFoundError(
                f"Version {number} of conversation {conversation_id} is not kept; the current one is {current.version}."
            )
        return found

    async def restore(self, conversation_id: int, number: int, if_match: Sequence[str] | None) -> Conversation:
        """Give a conversation the content of one of its versions. Raises `NotFoundError`, `VersionConflictError`."""
        content = await self.version(conversation_id, number)
        return await self._change(conversation_id, {name: getattr(content, name) for name in CONTENT}, if_match)

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


def _consequences(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the further columns of a row that change with its texts, if these values change any.

    What was decided about other texts does not apply to these.
    """
    question, answer = values.get("question", row.question), values.get("answer", row.answer)
    if (question, answer) == (row.question, row.answer):
        return {}
    return {**computed(question, answer), **NOT_REVIEWED}


def _version_of(current: Conversation) -> ConversationVersion:
    content = {name: getattr(current, name) for name in CONTENT}
    return ConversationVersion(
        version=current.version, changed_at=current.updated_at, changed_by=current.updated_by, **content
    )


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
