"""Identities of people without an account, in the user_identities table."""

from datetime import datetime
from typing import Final, NamedTuple

from mh_common.auth.principals import Principal
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from conversations_api.models import HistoryRow, UserIdentityRow

OPEN: Final = "urn:mental-health-platform:open"
"""Issuer of those whom anybody named while there were no accounts (AUTH_MODE=open)."""
_ACCOUNT: Final = "urn:mental-health-platform:account:{id}"


class OutsideUser(NamedTuple):
    """A person without an account.

    Attributes:
        account_id: the account whose keys act for them; None where there are no accounts.
        subject: their id, as the caller sends it. Equal ids of two accounts are two people.
    """

    account_id: int | None
    subject: str

    @classmethod
    def of(cls, principal: Principal, subject: str | None) -> "OutsideUser | None":
        """Return for whom a caller acts; None: for itself."""
        return None if subject is None else cls(principal.user_id, subject)

    @property
    def issuer(self) -> str:
        """Who knows them by this id."""
        return issuer_of(self.account_id)


def issuer_of(account_id: int | None) -> str:
    """Return the issuer of the people for whom an account's keys act; None: of those whom anybody names."""
    return OPEN if account_id is None else _ACCOUNT.format(id=account_id)


class OutsideUserRepository:
    """Reads and writes identities in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, user: OutsideUser) -> int | None:
        """Return the id of a person's identity; None if nothing was ever stored for them."""
        query = select(UserIdentityRow.id).where(
            UserIdentityRow.issuer == user.issuer, UserIdentityRow.subject == user.subject
        )
        identity_id: int | None = await self._session.scalar(query)
        return identity_id

    async def find_or_add(self, user: OutsideUser, at: datetime) -> int:
        """Return the id of a person's identity, which is made at the first use; several first uses may meet."""
        if (found := await self.find(user)) is not None:
            return found
        row = {
            "user_id": user.account_id,
            "issuer": user.issuer,
            "subject": user.subject,
            "email_verified": False,
            "linked_at": at,
        }
        try:
            # A Core statement: the transaction survives if it is rejected, which it does not for an ORM object.
            await self._session.execute(insert(UserIdentityRow).values(row))
        except IntegrityError:  # another first use was committed first
            found = await self.find(user)
            if found is None:
                raise
            return found
        made = await self.find(user)
        assert made is not None
        return made

    async def adopt(self, account_id: int) -> int:
        """Give an account the people of the time without accounts, with their entries; return how many they are.

        Whom the account's keys have acted for already, under the same id, is the same person from now on.
        """
        before, now = aliased(UserIdentityRow), aliased(UserIdentityRow)
        same = select(before.id, now.id).join(now, now.subject == before.subject)
        same = same.where(before.issuer == OPEN, now.issuer == issuer_of(account_id))
        merged = (await self._session.execute(same)).all()
        for old, new in merged:
            moved = update(HistoryRow).where(HistoryRow.identity_id == old).values(identity_id=new)
            await self._session.execute(moved)
            await self._session.execute(delete(UserIdentityRow).where(UserIdentityRow.id == old))
        left = await self._session.scalar(
            select(func.count()).select_from(UserIdentityRow).where(UserIdentityRow.issuer == OPEN)
        )
        values = {"issuer": issuer_of(account_id), "user_id": account_id}
        await self._session.execute(update(UserIdentityRow).where(UserIdentityRow.issuer == OPEN).values(values))
        return len(merged) + (left or 0)
