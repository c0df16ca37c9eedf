"""Operations on the query history, and who may perform them.

A user can access their own entries. Where there are no accounts, entries stored without a user belong to whoever knows
their `answer_id`. Other users' entries are treated as if they did not exist.
"""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from mh_common.errors import IdempotencyMismatchError, NotFoundError
from mh_common.models import Feedback, FeedbackCreate, HistoryEntry, HistoryEntryCreate, HistoryPage

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.history.repository import HistoryRepository, to_feedback
from conversations_api.models import HistoryRow

Entry = TypeVar("Entry", HistoryEntry, HistoryRow)


@dataclass(frozen=True)
class Reader:
    """Who asks for entries.

    Attributes:
        user_id: None: only where there are no accounts.
        sees_anonymous: whether entries stored without a user may be seen.
    """

    user_id: str | None
    sees_anonymous: bool


class HistoryService:
    """Reads and changes entries in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._history = HistoryRepository(session)
        self._clock = clock

    async def get(self, answer_id: UUID, reader: Reader) -> HistoryEntry:
        """Return an entry that the reader may see. Raises `NotFoundError`."""
        return _visible(await self._history.find(answer_id), answer_id, reader)

    async def list(self, user_id: str, before: int | None, limit: int) -> HistoryPage:
        """Return one page of the user's entries, newest first; `before` is the cursor of the previous page."""
        found = await self._history.list(user_id, before, limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return HistoryPage(items=[one.entry for one in page], next_cursor=str(page[-1].key) if more else None)

    async def add(self, content: HistoryEntryCreate) -> tuple[HistoryEntry, bool]:
        """Store an entry; return it, and whether it is new. Storing it again changes nothing.

        Raises:
            IdempotencyMismatchError: A different entry with this `answer_id` exists.
            NotFoundError: The entry was deleted concurrently.
        """
        new = await self._history.add(content, self._clock())
        stored = await self._history.find(content.answer_id)
        if stored is None:
            raise NotFoundError(f"The entry {content.answer_id} was deleted concurrently.")
        if not new and stored.model_dump(exclude={"created_at", "feedback"}) != content.model_dump():
            raise IdempotencyMismatchError("The answer_id was already used for another answer. Use a new one.")
        return stored, new

    async def set_feedback(self, answer_id: UUID, reader: Reader, content: FeedbackCreate) -> Feedback:
        """Store the reader's feedback, replacing earlier feedback of the same kind. Raises `NotFoundError`.

        A comment without a rating replaces the comment only.
        """
        row = _visible(await self._history.lock(answer_id), answer_id, reader)
        if content.rating is not None:
            row.rating, row.comment = content.rating, content.comment
        elif content.comment is not None:
            row.comment = content.comment
        if content.risk_notice is not None:
            row.risk_notice = content.risk_notice.value
        row.feedback_at = self._clock()
        return to_feedback(row)

    async def delete(self, answer_id: UUID, reader: Reader) -> None:
        """Permanently delete an entry. Raises `NotFoundError`."""
        await self._history.delete(_visible(await self._history.lock(answer_id), answer_id, reader))

    async def clear(self, user_id: str) -> int:
        """Permanently delete all of the user's entries; return how many there were."""
        return await self._history.delete_by_user(user_id)


def _visible(entry: Entry | None, answer_id: UUID, reader: Reader) -> Entry:
    if entry is None or not (entry.user_id == reader.user_id or (entry.user_id is None and reader.sees_anonymous)):
        raise NotFoundError(f"There is no history entry {answer_id}.")
    return entry
