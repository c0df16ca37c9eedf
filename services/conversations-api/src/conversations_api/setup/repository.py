"""The installation table, which has one row."""

from datetime import datetime
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import InstallationRow

ID: Final = 1


class InstallationRepository:
    """Reads and writes the row in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, setup_token_hash: bytes | None, at: datetime) -> bool:
        """Insert the row, without a hash as set up; return False if there is one, which is left unchanged."""
        set_up_at = at if setup_token_hash is None else None
        row = {"id": ID, "setup_token_hash": setup_token_hash, "created_at": at, "set_up_at": set_up_at}
        try:
            # A Core statement: the transaction survives if it is rejected, which it does not for an ORM object.
            await self._session.execute(insert(InstallationRow).values(row))
        except IntegrityError:
            return False
        return True

    async def lock(self) -> InstallationRow | None:
        """Return the row, locked against other writers until the commit; None before the first start."""
        row: InstallationRow | None = await self._session.scalar(select(InstallationRow).with_for_update())
        return row
