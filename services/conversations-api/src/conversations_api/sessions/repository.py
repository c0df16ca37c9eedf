"""The sessions table."""

from datetime import datetime
from typing import Any, cast

from mh_common.models import Session
from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import UserSessionRow


class UserSessionRepository:
    """Reads and writes sessions of people in a database session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: UserSessionRow) -> int:
        """Insert a session; return its id."""
        self._session.add(row)
        await self._session.flush()
        return row.id

    async def list(self, user_id: int, now: datetime) -> list[UserSessionRow]:
        """Return a user's sessions that have not ended, newest first."""
        query = select(UserSessionRow).where(
            UserSessionRow.user_id == user_id, UserSessionRow.expires_at > now, UserSessionRow.idle_until > now
        )
        return list(await self._session.scalars(query.order_by(UserSessionRow.id.desc())))

    async def delete(self, session_id: int, user_id: int) -> bool:
        """Delete one of a user's sessions; return whether there was one."""
        which = delete(UserSessionRow).where(UserSessionRow.id == session_id, UserSessionRow.user_id == user_id)
        return cast(CursorResult[Any], await self._session.execute(which)).rowcount > 0

    async def delete_of_user(self, user_id: int, but: int | None = None) -> None:
        """Delete a user's sessions, except the one with the id `but`."""
        which = delete(UserSessionRow).where(UserSessionRow.user_id == user_id)
        await self._session.execute(which if but is None else which.where(UserSessionRow.id != but))

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` of the sessions that expired before `cutoff`; return how many."""
        old = select(UserSessionRow.id).where(UserSessionRow.expires_at < cutoff).limit(limit)
        keys = (await self._session.scalars(old)).all()
        if keys:
            await self._session.execute(delete(UserSessionRow).where(UserSessionRow.id.in_(keys)))
        return len(keys)


def to_session(row: UserSessionRow, current: int | None) -> Session:
    """Return the session that a row holds; `current` is the id of the request's own."""
    names = Session.model_fields.keys() - {"current"}
    return Session(current=row.id == current, **{name: getattr(row, name) for name in names})
