"""What can be done with the query history, and by whom.

The user is whoever the caller says: log-in is the business of what stands before the platform. A user reaches entries
of their own, and those that were stored without a user, which belong to whoever knows their `answer_id`. Anybody else's
entry is as absent.
"""

from typing import TypeVar
from uuid import UUID

from mh_common.errors import IdempotencyMismatchError, NotFoundError
from mh_common.models import Feedback, FeedbackCreate, HistoryEntry, HistoryEntryCreate, HistoryPage

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.history.repository import HistoryRepository
from conversations_api.models import HistoryRow

Entry = TypeVar("Entry", HistoryEntry, HistoryRow)


class HistoryService:
    """Reads and changes entries in a session, whose owner commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._history = HistoryRepository(session)
        self._clock = clock

    async def get(self, answer_id: UUID, user_id: str | None) -> HistoryEntry:
        """Return an entry that the user may see. Raises `NotFoundError`."""
        return _visible(await self._history.find(answer_id), answer_id, user_id)

    async def list(self, user_id: str, before: int | None, limit: int) -> HistoryPage:
        """Return one page of the user's entries, newest first; `before` is the cursor of the page before."""
        found = await self._history.list(user_id, before, limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return HistoryPage(items=[one.entry for one in page], next_cursor=str(page[-1].key) if more else None)

    async def add(self, content: HistoryEntryCreate) -> tuple[HistoryEntry, bool]:
        """Store an entry; return it, and whether it is new. The same one again changes nothing.

        Raises:
            IdempotencyMismatchError: There is another entry with this `answer_id`.
        """
        new = await self._history.add(content, self._clock())
        stored = await self._history.find(content.answer_id)
        if stored is None:
            raise NotFoundError(f"The entry {content.answer_id} was deleted at this moment.")
        if not new and stored.model_dump(exclude={"created_at", "feedback"}) != content.model_dump():
            raise IdempotencyMismatchError("The answer_id was used before, for another answer.")
        return stored, new

    async def set_feedback(self, answer_id: UUID, user_id: str | None, content: FeedbackCreate) -> Feedback:
        """Store the user's feedback in the place of what was there. Raises `NotFoundError`."""
        row = _visible(await self._history.lock(answer_id), answer_id, user_id)
        feedback = Feedback(rating=content.rating, comment=content.comment, at=self._clock())
        row.rating, row.comment, row.feedback_at = feedback.rating, feedback.comment, feedback.at
        return feedback

    async def delete(self, answer_id: UUID, user_id: str | None) -> None:
        """Delete an entry for good. Raises `NotFoundError`."""
        await self._history.delete(_visible(await self._history.lock(answer_id), answer_id, user_id))

    async def clear(self, user_id: str) -> int:
        """Delete all of the user's entries for good; return how many there were."""
        return await self._history.delete_by_user(user_id)


def _visible(entry: Entry | None, answer_id: UUID, user_id: str | None) -> Entry:
    if entry is None or entry.user_id not in (None, user_id):
        raise NotFoundError(f"There is no history entry {answer_id}.")
    return entry
