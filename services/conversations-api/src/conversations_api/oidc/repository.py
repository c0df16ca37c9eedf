"""The table of browsers that were sent to the OpenID provider."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import OidcSignInRow


class OidcSignInRepository:
    """Reads and writes them in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: OidcSignInRow) -> None:
        """Insert a sign-in that began."""
        self._session.add(row)
        await self._session.flush()

    async def take(self, state_hash: bytes) -> OidcSignInRow | None:
        """Return the sign-in with this state and delete it, so that nobody else gets it; None if there is none."""
        query = select(OidcSignInRow).where(OidcSignInRow.state_hash == state_hash).with_for_update()
        row: OidcSignInRow | None = await self._session.scalar(query)
        if row is not None:
            await self._session.delete(row)
            await self._session.flush()
        return row

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` of the sign-ins that began before `cutoff`; return how many."""
        old = select(OidcSignInRow.state_hash).where(OidcSignInRow.created_at < cutoff).limit(limit)
        keys = (await self._session.scalars(old)).all()
        if keys:
            await self._session.execute(delete(OidcSignInRow).where(OidcSignInRow.state_hash.in_(keys)))
        return len(keys)
