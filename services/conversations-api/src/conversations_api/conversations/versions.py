"""Earlier versions of conversations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

from mh_common.models import ConversationVersion
from sqlalchemy import Integer, Table, bindparam, delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ConversationRow, ConversationVersionRow

_ROW: Final = cast(Table, ConversationRow.__table__).c
_VERSIONS: Final = cast(Table, ConversationVersionRow.__table__)
_VERSION: Final = _VERSIONS.c

CONTENT: Final = tuple(name for name in ConversationVersion.model_fields if name in _ROW and name != "version")
"""What of a conversation is kept: all that can be edited."""

# The texts stay in the database.
_KEEP: Final = insert(_VERSIONS).from_select(
    ["conversation_id", "version", "changed_at", "changed_by", *CONTENT],
    select(_ROW.id, _ROW.version, _ROW.updated_at, _ROW.updated_by, *(_ROW[name] for name in CONTENT)).where(
        _ROW.id.in_(bindparam("ids", expanding=True))
    ),
)
_READ: Final = select(*(_VERSION[name] for name in ConversationVersion.model_fields)).where(
    _VERSION.conversation_id == bindparam("id")
)
_PAGE: Final = (
    _READ.where(_VERSION.version < bindparam("before"))
    .order_by(_VERSION.version.desc())
    .limit(bindparam("most", type_=Integer))
)
_ONE: Final = _READ.where(_VERSION.version == bindparam("number"))


class VersionRepository:
    """Reads and writes earlier versions in a session. They are deleted with their conversation, by a foreign key."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def keep(self, ids: Sequence[int]) -> None:
        """Keep what these conversations are now, in one statement. They are locked, and about to be changed."""
        await self._session.execute(_KEEP, {"ids": list(ids)})

    async def list(self, conversation_id: int, before: int, limit: int) -> Sequence[ConversationVersion]:
        """Return at most `limit` earlier versions with numbers below `before`, newest first."""
        values = {"id": conversation_id, "before": before, "most": limit}
        rows = (await self._session.execute(_PAGE, values)).mappings()
        return [ConversationVersion(**row) for row in rows]

    async def find(self, conversation_id: int, number: int) -> ConversationVersion | None:
        """Return an earlier version; None if it is not kept."""
        row = (await self._session.execute(_ONE, {"id": conversation_id, "number": number})).mappings().first()
        return None if row is None else ConversationVersion(**row)

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` versions that were made before `cutoff`; return how many."""
        key = (_VERSION.conversation_id, _VERSION.version)
        old = select(*key).where(_VERSION.changed_at < cutoff).limit(limit)
        found = [tuple(row) for row in await self._session.execute(old.with_for_update(skip_locked=True))]
        if found:
            await self._session.execute(delete(_VERSIONS).where(tuple_(*key).in_(found)))
        return len(found)
