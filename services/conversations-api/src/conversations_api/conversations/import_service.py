"""Operations of imports: bulk requests that say what becomes of duplicates, and taking an import back."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from mh_common.errors import NotFoundError, UnavailableError
from mh_common.fields import Origin
from mh_common.models import (
    MAX_BULK_ROWS,
    BulkCreate,
    ImportUndo,
    ImportUndone,
    OnDuplicate,
    RowOutcome,
)
from mh_common.text import content_hash

from conversations_api.clock import Clock, utc_now
from conversations_api.conversations.duplicates import CHANGED_AT_ONCE, DuplicateRepository, Found
from conversations_api.conversations.editing import NOBODY, Editor
from conversations_api.conversations.imports import ImportRepository
from conversations_api.conversations.merging import Merge, merge
from conversations_api.conversations.writer import ConversationWriter
from conversations_api.database import AsyncSession
from conversations_api.idempotency.repository import IdempotencyRepository, IdempotentResult, KeyedRequest

MAX_NAMED: Final = 100
"""Most conversations that the answer to an undone import names."""


class ImportService:
    """Adds, updates and takes back the conversations of imports in a session; the caller commits."""

    def __init__(self, session: AsyncSession, editor: Editor = NOBODY, clock: Clock = utc_now) -> None:
        self._editor = editor
        self._writer = ConversationWriter(session, editor)
        self._duplicates = DuplicateRepository(session)
        self._imports = ImportRepository(session)
        self._keys = IdempotencyRepository(session)
        self._clock = clock

    async def add(self, bulk: BulkCreate, request: KeyedRequest | None) -> IdempotentResult:
        """Add conversations, all or none, and do with duplicates what the request says; `outcomes` tells them apart.

        A repeated request changes nothing and returns the first one's result. Of two requests at the same time that
        have the same row, the second waits for the first. Raises `UnavailableError`.
        """
        now = self._clock()
        if request and (result := await self._keys.claim(request, now)):
            return result
        if bulk.on_duplicate is OnDuplicate.ADD:
            ids = await self._writer.add(bulk.items, now, origin=Origin.IMPORT, import_tag=bulk.import_tag)
            return await self._keys.save_result(request, IdempotentResult(ids, now))
        work, stored = await self._merge(bulk, now)
        new_ids = await self._writer.add(work.added, now, origin=Origin.IMPORT, import_tag=bulk.import_tag)
        await self._update(work, stored, now, bulk.import_tag)
        result = IdempotentResult(work.ids(new_ids), now, outcomes=work.outcomes)
        return await self._keys.save_result(request, result)

    async def preview(self, bulk: BulkCreate) -> Sequence[RowOutcome]:
        """Return what would become of each row, and change none. Raises `UnavailableError`."""
        if bulk.on_duplicate is OnDuplicate.ADD:
            return [RowOutcome.ADDED] * len(bulk.items)
        work, _ = await self._merge(bulk)
        return work.outcomes

    async def undo(self, undo: ImportUndo, request: KeyedRequest | None) -> ImportUndone:
        """Delete conversations that an import added, at most `MAX_BULK_ROWS`, and say what is left of it.

        Raises `NotFoundError` if nothing is known of the import.
        """
        now = self._clock()
        if undo.dry_run:
            deleted: Sequence[int] = ()
        elif request and (result := await self._keys.claim(request, now)):
            deleted = result.ids
        else:
            ids = await self._imports.lock_added(undo.import_tag, edited=undo.edited, limit=MAX_BULK_ROWS)
            deleted = await self._writer.delete(ids) if ids else ()
            await self._keys.save_result(request, IdempotentResult(deleted, now))
        return await self._left(undo, len(deleted))

    async def _merge(self, bulk: BulkCreate, at: datetime | None = None) -> tuple[Merge, dict[int, Found]]:
        """Return what to do with a request's rows, and the stored conversations that are the same, by id.

        With the time `at`, nobody else adds any of them or changes these until the commit.
        """
        await self._complete()
        hashes = [content_hash(item.question, item.answer) for item in bulk.items]
        update = bulk.on_duplicate is OnDuplicate.UPDATE
        lock = update and at is not None
        found = await self._duplicates.find(set(hashes), lock=lock)
        if at is not None and (new := set(hashes) - found.keys()):
            await self._duplicates.lock(new, at)
            found |= await self._duplicates.find(new, lock=lock)
        return merge(bulk.items, hashes, found, update=update), {row.id: row for row in found.values()}

    async def _complete(self) -> None:
        """See to it that every conversation is found by its content. Raises `UnavailableError` if that takes long."""
        if await self._duplicates.is_complete():
            return
        await self._duplicates.complete(CHANGED_AT_ONCE)
        if not await self._duplicates.is_complete():
            raise UnavailableError(
                "Conversations of an earlier release are still being prepared for finding duplicates. Try again in a "
                "minute.",
                retry_after=5,
            )

    async def _update(self, work: Merge, stored: Mapping[int, Found], now: datetime, import_tag: str | None) -> None:
        if not work.changed:
            return
        rows = [stored[key] for key in work.changed]
        # Strictly increasing, even if the clock was set back.
        at = max(now, *(row.updated_at + timedelta(microseconds=1) for row in rows))
        await self._writer.keep_versions(list(work.changed))
        await self._duplicates.update(work.changed, at, self._editor.user_id)
        await self._writer.queue_changed(list(work.changed), at)
        if import_tag is not None:
            await self._imports.add_updates(import_tag, {row.id: row.version + 1 for row in rows})

    async def _left(self, undo: ImportUndo, deleted: int) -> ImportUndone:
        remaining = await self._imports.count_added(undo.import_tag, edited=undo.edited)
        nothing: tuple[int, Sequence[int]] = (0, ())
        edited = nothing if undo.edited else await self._imports.edited(undo.import_tag, MAX_NAMED)
        updated = await self._imports.updated(undo.import_tag, MAX_NAMED)
        if not (deleted or remaining or edited[0] or updated[0]):
            raise NotFoundError("There is no conversation that an import with this tag added or updated.")
        return ImportUndone(
            deleted=deleted,
            remaining=remaining,
            edited=edited[0],
            edited_ids=list(edited[1]),
            updated=updated[0],
            updated_ids=list(updated[1]),
        )
