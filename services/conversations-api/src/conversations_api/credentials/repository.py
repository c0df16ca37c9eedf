"""Reads credentials with their owners, in one statement each."""

from datetime import datetime
from typing import Final, NamedTuple, TypeVarTuple

from mh_common.auth.roles import Role, Scope, known_scopes
from mh_common.models import AccountKind, AccountState
from sqlalchemy import Row, Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from conversations_api.models import ApiKeyRow, UserRow, UserSessionRow

Columns = TypeVarTuple("Columns")


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
# Made once: every request needs one of them.
_KEY: Final = (
    select(*_OWNER, ApiKeyRow.id, ApiKeyRow.expires_at, ApiKeyRow.revoked_at, ApiKeyRow.scopes)
    .join(UserRow, UserRow.id == ApiKeyRow.user_id)
    .where(ApiKeyRow.token_hash == bindparam("token_hash"))
)
_SESSION: Final = (
    select(*_OWNER, UserSessionRow.id, UserSessionRow.expires_at, UserSessionRow.idle_until)
    .join(UserRow, UserRow.id == UserSessionRow.user_id)
    .where(UserSessionRow.token_hash == bindparam("token_hash"))
)


class CredentialReader:
    """Reads credentials, each on a connection of the engine for reads.

    An ORM session would take more of a request's time than the statement.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find_key(self, token_hash: bytes) -> Owner | None:
        """Return the API key whose token has this hash, or None."""
        row = await self._read(_KEY, token_hash)
        return None if row is None else Owner(*row[:-1], known_scopes(row[-1].split()))

    async def find_session(self, token_hash: bytes) -> Owner | None:
        """Return the session whose token has this hash, with the earlier of its two ends, or None."""
        row = await self._read(_SESSION, token_hash)
        return None if row is None else Owner(*row[:-2], min(row[-2], row[-1]))

    async def _read(self, statement: Select[*Columns], token_hash: bytes) -> Row[*Columns] | None:
        connection = await self._engine.connect()
        try:
            return (await connection.execute(statement, {"token_hash": token_hash})).one_or_none()
        finally:
            # `async with` would close it in a task of its own, to survive cancellation; closing sends nothing here.
            await connection.close()


class CredentialRepository:
    """Notes the use of credentials, in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def set_key_used(self, key_id: int, at: datetime) -> None:
        """Note when a key was used."""
        await self._session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=at))

    async def set_session_used(self, session_id: int, at: datetime, idle_until: datetime) -> None:
        """Note when a session was used, and when it ends if it is not used again."""
        values = {"last_seen_at": at, "idle_until": idle_until}
        await self._session.execute(update(UserSessionRow).where(UserSessionRow.id == session_id).values(values))
