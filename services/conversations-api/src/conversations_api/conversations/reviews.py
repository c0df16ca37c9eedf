"""What curators decided about conversations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

from mh_common.fields import ReviewState
from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ConversationRow

_TABLE: Final = cast(Table, ConversationRow.__table__)
_ROW: Final = _TABLE.c
_IDS: Final = _ROW.id.in_(bindparam("ids", expanding=True))

# In the order of their ids, so that transactions wait for each other instead of deadlocking.
_LOCKED: Final = select(_ROW.id, _ROW.review_state).where(_IDS).order_by(_ROW.id).with_for_update()
_COUNTS: Final = select(_ROW.review_state, func.count()).group_by(_ROW.review_state)

NOT_REVIEWED: Final[dict[str, Any]] = {
    "review_state": ReviewState.UNREVIEWED,
    "reviewed_by": None,
    "reviewed_at": None,
}
"""The columns of a conversation that nobody has reviewed."""


class ReviewRepository:
    """Reads and writes reviews in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, ids: Sequence[int]) -> dict[int, ReviewState]:
        """Return the states of those of these conversations that exist, locked until the commit."""
        rows = await self._session.execute(_LOCKED, {"ids": list(ids)})
        return {row.id: row.review_state for row in rows}

    async def set(self, ids: Sequence[int], state: ReviewState, user_id: int | None, at: datetime) -> None:
        """Give these conversations a state, in one statement."""
        values = {"review_state": state, "reviewed_by": user_id, "reviewed_at": at}
        is_reviewed = state is not ReviewState.UNREVIEWED
        await self._session.execute(
            update(_TABLE).where(_IDS).values(values if is_reviewed else NOT_REVIEWED), {"ids": list(ids)}
        )

    async def counts(self) -> dict[ReviewState, int]:
        """Return the number of conversations in each state, including 0; answered from the table's index alone."""
        found = {row[0]: row[1] for row in await self._session.execute(_COUNTS)}
        return {state: found.get(state, 0) for state in ReviewState}
