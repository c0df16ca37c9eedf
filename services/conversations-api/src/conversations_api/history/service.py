"""Operations on the query history, and who may perform them.

An account can access its own entries, and those of the people for whom it acts, each by their id. Where there are no
accounts, entries stored without a user belong to whoever knows their `answer_id`. Other users' entries are treated as
if they did not exist.
"""

from dataclasses import dataclass
from uuid import UUID

from mh_common.auth.principals import Principal
from mh_common.errors import IdempotencyMismatchError, NotFoundError
from mh_common.models import Feedback, FeedbackCreate, HistoryEntry, HistoryEntryCreate, HistoryPage, PrincipalKind

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.history.repository import HistoryRepository, Owner, owner_of, to_entry, to_feedback
from conversations_api.models import HistoryRow
from conversations_api.outside_users.repository import OutsideUser, OutsideUserRepository

_NOBODY = Owner()


@dataclass(frozen=True)
class Reader:
    """Who asks for entries.

    Attributes:
        account_id: the account whose own entries are meant.
        outside: the person without an account who is meant instead.
        sees_anonymous: whether entries stored without a user may be seen.
    """

    account_id: int | None = None
    outside: OutsideUser | None = None
    sees_anonymous: bool = False

    @classmethod
    def of(cls, principal: Principal, named: str | None) -> "Reader":
        """Return whom a caller means, who acts for the person with the id `named`, or for itself."""
        outside = OutsideUser.of(principal, named)
        account_id = principal.user_id if outside is None else None
        return cls(account_id, outside, sees_anonymous=principal.kind is PrincipalKind.LOCAL)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is meant."""
        return self.account_id is None and self.outside is None

    @property
    def name(self) -> str | None:
        """What entries call their owner: the account's id, or the person's."""
        if self.outside is not None:
            return self.outside.subject
        return None if self.account_id is None else str(self.account_id)


class HistoryService:
    """Reads and changes entries in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._history = HistoryRepository(session)
        self._outside = OutsideUserRepository(session)
        self._clock = clock

    async def get(self, answer_id: UUID, reader: Reader) -> HistoryEntry:
        """Return an entry that the reader may see. Raises `NotFoundError`."""
        row = await self._visible(await self._history.find(answer_id), answer_id, reader)
        return to_entry(row, None if owner_of(row) == _NOBODY else reader.name)

    async def list(self, reader: Reader, before: int | None, limit: int) -> HistoryPage:
        """Return one page of the user's entries, newest first; `before` is the cursor of the previous page."""
        found = await self._history.list(await self._owner(reader), before, limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return HistoryPage(
            items=[to_entry(row, reader.name) for row in page], next_cursor=str(page[-1].id) if more else None
        )

    async def add(self, content: HistoryEntryCreate, reader: Reader) -> tuple[HistoryEntry, bool]:
        """Store an entry of the reader; return it, and whether it is new. Storing it again changes nothing.

        Raises:
            IdempotencyMismatchError: A different entry, or somebody else's, with this `answer_id` exists.
            NotFoundError: The entry was deleted concurrently.
        """
        owner, now = await self._owner(reader), self._clock()
        if reader.outside is not None and owner.identity_id is None:
            owner = Owner(identity_id=await self._outside.find_or_add(reader.outside, now))
        content = content.model_copy(update={"user_id": reader.name})
        new = await self._history.add(content, owner, now)
        row = await self._history.find(content.answer_id)
        if row is None:
            raise NotFoundError(f"The entry {content.answer_id} was deleted concurrently.")
        stored = to_entry(row, reader.name)
        same = owner_of(row) == owner and stored.model_dump(exclude={"created_at", "feedback"}) == content.model_dump()
        if not (new or same):
            raise IdempotencyMismatchError("The answer_id was already used for another answer. Use a new one.")
        return stored, new

    async def set_feedback(self, answer_id: UUID, reader: Reader, content: FeedbackCreate) -> Feedback:
        """Store the reader's feedback, replacing earlier feedback of the same kind. Raises `NotFoundError`.

        A comment without a rating replaces the comment only.
        """
        row = await self._visible(await self._history.lock(answer_id), answer_id, reader)
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
        await self._history.delete(await self._visible(await self._history.lock(answer_id), answer_id, reader))

    async def clear(self, reader: Reader) -> int:
        """Permanently delete all of the user's entries; return how many there were."""
        return await self._history.delete_of(await self._owner(reader))

    async def _owner(self, reader: Reader) -> Owner:
        if reader.outside is None:
            return Owner(account_id=reader.account_id)
        return Owner(identity_id=await self._outside.find(reader.outside))

    async def _visible(self, row: HistoryRow | None, answer_id: UUID, reader: Reader) -> HistoryRow:
        """Return the row if it is the reader's, or nobody's where everybody may see that. Raises `NotFoundError`."""
        if row is not None:
            owner = owner_of(row)
            if reader.sees_anonymous if owner == _NOBODY else owner == await self._owner(reader):
                return row
        raise NotFoundError(f"There is no history entry {answer_id}.")
