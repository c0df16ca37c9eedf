"""Conversations as sources of units: each is a single unit."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from mh_common.units import Unit, UnitKey, conversation_unit
from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ConversationRow

_ROW: Final = ConversationRow
_VERSIONS: Final = select(_ROW.id, _ROW.version).where(_ROW.id.in_(bindparam("ids", expanding=True)))
_LOCKED: Final = _VERSIONS.order_by(_ROW.id).with_for_update()


class ConversationUnitSource:
    """The `UnitSource` of conversations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, keys: Collection[UnitKey]) -> dict[UnitKey, int]:
        """See `UnitSource.lock`."""
        found = await self._session.execute(_LOCKED, {"ids": _ids(keys)})
        return {conversation_unit(row.id): row.version for row in found}

    async def versions(self, keys: Collection[UnitKey]) -> dict[UnitKey, int]:
        """See `UnitSource.versions`."""
        found = await self._session.execute(_VERSIONS, {"ids": _ids(keys)})
        return {conversation_unit(row.id): row.version for row in found}

    async def page(self, after: UnitKey, limit: int, since: datetime | None) -> Sequence[Unit]:
        """See `UnitSource.page`."""
        # Reads the clustered primary key, which includes the texts. An index on (id, version) would be smaller, but
        # MariaDB would then also lock rows through it, which can deadlock with statements that use the primary key.
        query = select(_ROW.id, _ROW.version).where(_ROW.id > after.source_id).order_by(_ROW.id).limit(limit)
        if since is not None:
            query = query.where(_ROW.updated_at >= since)
        return [Unit(conversation_unit(row.id), row.version) for row in await self._session.execute(query)]

    async def total(self) -> int:
        """See `UnitSource.total`."""
        return int((await self._session.execute(select(func.count()).select_from(_ROW))).scalar_one())


def _ids(keys: Collection[UnitKey]) -> list[int]:
    """Return the conversations of these units. Units with an ordinal other than 0 do not exist."""
    return [key.source_id for key in keys if not key.ordinal]
