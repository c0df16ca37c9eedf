"""The api_keys table."""

from mh_common.auth.roles import known_scopes
from mh_common.errors import NotFoundError
from mh_common.models import ApiKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ApiKeyRow, UserRow


class ApiKeyRepository:
    """Reads and writes keys in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: ApiKeyRow) -> None:
        """Insert a key, which gets its id."""
        self._session.add(row)
        await self._session.flush()

    async def lock(self, key_id: int, owner: int | None) -> ApiKeyRow:
        """Return a key, locked against other writers until the commit; with `owner` only if it is theirs.

        Raises:
            NotFoundError: there is none, or it is somebody else's.
        """
        row = await self._session.get(ApiKeyRow, key_id, with_for_update=True)
        if row is None or owner not in (None, row.user_id):
            raise NotFoundError(f"There is no API key {key_id}.")
        return row

    async def list(self, owner: int | None, before: int | None, limit: int) -> list[ApiKey]:
        """Return at most `limit` keys with ids below `before`, newest first; with `owner` only theirs."""
        query = select(ApiKeyRow, UserRow.username).join(UserRow, UserRow.id == ApiKeyRow.user_id)
        if owner is not None:
            query = query.where(ApiKeyRow.user_id == owner)
        if before is not None:
            query = query.where(ApiKeyRow.id < before)
        found = await self._session.execute(query.order_by(ApiKeyRow.id.desc()).limit(limit))
        return [to_api_key(row, username) for row, username in found.all()]


def to_api_key(row: ApiKeyRow, username: str) -> ApiKey:
    """Return the key that a row holds, without its secret."""
    names = ApiKey.model_fields.keys() - {"username", "scopes"}
    return ApiKey(
        username=username,
        scopes=sorted(known_scopes(row.scopes.split())),
        **{name: getattr(row, name) for name in names},
    )
