"""The table of identities."""

from datetime import datetime
from typing import Any, cast

from mh_common.errors import ConflictError
from mh_common.models import Identity
from sqlalchemy import CursorResult, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import UserIdentityRow


class IdentityRepository:
    """Reads and writes identities in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        user_id: int,
        issuer: str,
        subject: str,
        at: datetime,
        *,
        email: str | None = None,
        email_verified: bool = False,
    ) -> UserIdentityRow:
        """Insert an identity of an account. Raises ConflictError if it is linked already, with whatever account."""
        row = UserIdentityRow(
            user_id=user_id,
            issuer=issuer,
            subject=subject,
            email=email,
            email_verified=email_verified,
            linked_at=at,
        )
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError as error:
            raise ConflictError("This identity is linked with an account already. Unlink it there first.") from error
        return row

    async def lock(self, issuer: str, subject: str) -> UserIdentityRow | None:
        """Return the identity with exactly this issuer and subject, locked until the commit, or None.

        Whoever unlinks it meanwhile waits, and so ends the session that is being made as well.
        """
        query = select(UserIdentityRow).where(UserIdentityRow.issuer == issuer, UserIdentityRow.subject == subject)
        row: UserIdentityRow | None = await self._session.scalar(query.with_for_update())
        # MySQL's comparison disregards spaces at the end.
        return row if row is not None and (row.issuer, row.subject) == (issuer, subject) else None

    async def has_one_of(self, user_id: int, issuer: str) -> bool:
        """Return whether an account has an identity of this issuer."""
        query = select(UserIdentityRow.id).where(UserIdentityRow.user_id == user_id, UserIdentityRow.issuer == issuer)
        return await self._session.scalar(query.limit(1)) is not None

    async def list(self, user_id: int, after: int, limit: int) -> list[UserIdentityRow]:
        """Return at most `limit` identities of an account with ids above `after`, by id."""
        query = select(UserIdentityRow).where(UserIdentityRow.user_id == user_id, UserIdentityRow.id > after)
        return list(await self._session.scalars(query.order_by(UserIdentityRow.id).limit(limit)))

    async def delete(self, identity_id: int, user_id: int) -> bool:
        """Delete an identity of an account; return whether there was one."""
        which = delete(UserIdentityRow).where(UserIdentityRow.id == identity_id, UserIdentityRow.user_id == user_id)
        return cast(CursorResult[Any], await self._session.execute(which)).rowcount > 0


def to_identity(row: UserIdentityRow) -> Identity:
    """Return the identity that a row holds."""
    return Identity(**{name: getattr(row, name) for name in Identity.model_fields})
