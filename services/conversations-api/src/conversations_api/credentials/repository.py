"""Reads credentials with their owners, in one statement each."""

from datetime import datetime
from typing import NamedTuple

from mh_common.auth.roles import Role, Scope, known_scopes
from mh_common.models import AccountKind, AccountState
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ApiKeyRow, UserRow, UserSessionRow


class Owner(NamedTuple):
    """A credential and the account that it belongs to.

    `granted` are the scopes of a key; of a session, which has all of its owner's role, none are stored.
    """

    user_id: int
    username: str
    role: Role
    kind: AccountKind
    state: AccountState
    credential_id: int
    expires_at: datetime | None
    revoked_at: datetime | None = None
    granted: frozenset[Scope] = frozenset()


_OWNER = (UserRow.id, UserRow.username, UserRow.role, UserRow.kind, UserRow.state)


class CredentialRepository:
    """Reads credentials, and notes their use, in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_key(self, token_hash: bytes) -> Owner | None:
        """Return the API key whose token has this hash, or None."""
        # Columns instead of ORM objects: every request does this.
        columns = (*_OWNER, ApiKeyRow.id, ApiKeyRow.expires_at, ApiKeyRow.revoked_at, ApiKeyRow.scopes)
        query = select(*columns).join(UserRow, UserRow.id == ApiKeyRow.user_id)
        row = (await self._session.execute(query.where(ApiKeyRow.token_hash == token_hash))).one_or_none()
        if row is None:
            return None
        return Owner(*row[:-1], known_scopes(row[-1].split()))

    async def find_session(self, token_hash: bytes) -> Owner | None:
        """Return the session whose token has this hash, with the earlier of its two ends, or None."""
        columns = (*_OWNER, UserSessionRow.id, UserSessionRow.expires_at, UserSessionRow.idle_until)
        query = select(*columns).join(UserRow, UserRow.id == UserSessionRow.user_id)
        row = (await self._session.execute(query.where(UserSessionRow.token_hash == token_hash))).one_or_none()
        return None if row is None else Owner(*row[:-2], min(row[-2], row[-1]))

    async def set_key_used(self, key_id: int, at: datetime) -> None:
        """Note when a key was used."""
        await self._session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=at))

    async def set_session_used(self, session_id: int, at: datetime, idle_until: datetime) -> None:
        """Note when a session was used, and when it ends if it is not used again."""
        values = {"last_seen_at": at, "idle_until": idle_until}
        await self._session.execute(update(UserSessionRow).where(UserSessionRow.id == session_id).values(values))
