"""What an import added and updated, by its tag."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Integer, Table, and_, bindparam, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import ConversationRow, ImportUpdateRow

_ROW: Final = cast(Table, ConversationRow.__table__).c
_UPDATES: Final = cast(Table, ImportUpdateRow.__table__)
_UPDATE: Final = _UPDATES.c

_TAG: Final = bindparam("import_tag", type_=_ROW.import_tag.type)
_MOST: Final = bindparam("most", type_=Integer)
_ADDED: Final = _ROW.import_tag == _TAG
# An import updates what it added itself, if its file has the same conversation twice.
_AS_THE_IMPORT_LEFT_IT: Final = or_(
    _ROW.version == 1,
    select(_UPDATE.version)
    .where(_UPDATE.import_tag == _TAG, _UPDATE.conversation_id == _ROW.id, _UPDATE.version == _ROW.version)
    .exists(),
)
_UPDATED: Final = and_(
    _UPDATE.import_tag == _TAG,
    _UPDATE.conversation_id == _ROW.id,
    or_(_ROW.import_tag.is_(None), _ROW.import_tag != _TAG),
)


class ImportRepository:
    """Reads and writes what belongs to an import, in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_added(self, import_tag: str, *, edited: bool, limit: int) -> Sequence[int]:
        """Return at most `limit` conversations that the import added, oldest first, locked until the commit.

        Without `edited` only those that nobody changed since.
        """
        query = select(_ROW.id).where(_added(edited=edited)).order_by(_ROW.id).limit(_MOST).with_for_update()
        return (await self._session.execute(query, {"import_tag": import_tag, "most": limit})).scalars().all()

    async def count_added(self, import_tag: str, *, edited: bool) -> int:
        """Return how many conversations of the import there are; `edited` as in `lock_added`."""
        query = select(func.count()).select_from(ConversationRow).where(_added(edited=edited))
        return int((await self._session.execute(query, {"import_tag": import_tag})).scalar_one())

    async def edited(self, import_tag: str, limit: int) -> tuple[int, Sequence[int]]:
        """Return how many conversations that the import added were changed since, and the first of them."""
        return await self._counted(import_tag, limit, _ADDED, ~_AS_THE_IMPORT_LEFT_IT)

    async def updated(self, import_tag: str, limit: int) -> tuple[int, Sequence[int]]:
        """Return how many other conversations the import updated, and the first of them."""
        return await self._counted(import_tag, limit, _UPDATED)

    async def add_updates(self, import_tag: str, versions: Mapping[int, int]) -> None:
        """Record the versions that the import made of conversations, by id."""
        if not versions:
            return
        known = (_UPDATE.import_tag == import_tag, _UPDATE.conversation_id.in_(versions))
        await self._session.execute(delete(_UPDATES).where(*known))
        rows = [
            {"import_tag": import_tag, "conversation_id": key, "version": version} for key, version in versions.items()
        ]
        await self._session.execute(insert(_UPDATES), rows)

    async def _counted(
        self, import_tag: str, limit: int, *conditions: ColumnElement[bool]
    ) -> tuple[int, Sequence[int]]:
        values: dict[str, Any] = {"import_tag": import_tag, "most": limit}
        query = select(_ROW.id).where(*conditions).order_by(_ROW.id).limit(_MOST)
        ids = (await self._session.execute(query, values)).scalars().all()
        if len(ids) < limit:
            return len(ids), ids
        count = select(func.count(_ROW.id)).where(*conditions)
        return int((await self._session.execute(count, {"import_tag": import_tag})).scalar_one()), ids


def _added(*, edited: bool) -> ColumnElement[bool]:
    return _ADDED if edited else and_(_ADDED, _AS_THE_IMPORT_LEFT_IT)
