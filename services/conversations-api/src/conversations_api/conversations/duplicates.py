"""Conversations with the same question and answer: finding them, and keeping what finds them complete."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, cast

from mh_common.batches import batched
from mh_common.text import content_hash
from sqlalchemy import Integer, Row, Table, bindparam, case, delete, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.conversations.contents import computed
from conversations_api.conversations.merging import OTHER_FIELDS
from conversations_api.models import ConversationRow, ImportLockRow

CHANGED_AT_ONCE: Final = 100
"""Rows that one UPDATE gives values of their own. The time it takes grows with the square."""

LOCK_LIFETIME: Final = timedelta(hours=1)
"""Longer than any transaction. The rows have no other use than being locked."""

Found: TypeAlias = Row[*tuple[Any, ...]]
"""A conversation: its id, version, `updated_at`, texts and `OTHER_FIELDS`."""

_TABLE: Final = cast(Table, ConversationRow.__table__)
_ROW: Final = _TABLE.c
_TEXTS: Final = (_ROW.id, _ROW.question, _ROW.answer)
_IDS: Final = _ROW.id.in_(bindparam("ids", expanding=True))

_CANDIDATES: Final = (
    select(_ROW.content_hash, _ROW.id)
    .where(_ROW.content_hash.in_(bindparam("hashes", expanding=True, type_=_ROW.content_hash.type)))
    .order_by(_ROW.content_hash, _ROW.id)
)
_READ: Final = (
    select(*_TEXTS, _ROW.version, _ROW.updated_at, *(_ROW[name] for name in OTHER_FIELDS)).where(_IDS).order_by(_ROW.id)
)
_READ_LOCKED: Final = _READ.with_for_update()
_INCOMPLETE: Final = select(_ROW.id).where(_ROW.content_hash.is_(None)).limit(1)
# Without those that another process is completing.
_TO_COMPLETE: Final = (
    select(*_TEXTS)
    .where(_ROW.content_hash.is_(None))
    .order_by(_ROW.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
# An update locks a row that is there already for this transaction alone; IGNORE would lock it for several, which then
# wait for each other.
_LOCK: Final = text(
    "INSERT INTO import_locks (content_hash, created_at) VALUES (:content_hash, :created_at) "
    "ON DUPLICATE KEY UPDATE content_hash = content_hash"
).bindparams(
    bindparam("content_hash", type_=_ROW.content_hash.type), bindparam("created_at", type_=_ROW.created_at.type)
)


class DuplicateRepository:
    """Finds and changes conversations by their content, in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, hashes: Collection[bytes], at: datetime) -> None:
        """Wait for the transactions that have locked any of these, and let those that follow wait for this one.

        What others have added until then is found after that, as each statement reads what is committed.
        """
        if self._session.get_bind().dialect.name == "sqlite" or not hashes:
            return  # SQLite's transactions have the database to themselves
        # In one order, so that transactions wait for each other instead of deadlocking.
        await self._session.execute(_LOCK, [{"content_hash": one, "created_at": at} for one in sorted(hashes)])

    async def find(self, hashes: Collection[bytes], *, lock: bool = False) -> dict[bytes, Found]:
        """Return the oldest conversation with each of these hashes that has one; with `lock`, locked until the commit.

        Rows that still lack a hash are not found; see `is_complete`.
        """
        candidates: dict[bytes, deque[int]] = {}
        for one, key in await self._session.execute(_CANDIDATES, {"hashes": list(hashes)}):
            candidates.setdefault(one, deque()).append(key)
        found: dict[bytes, Found] = {}
        while candidates:
            first = {keys.popleft(): one for one, keys in candidates.items()}
            rows = await self._session.execute(_READ_LOCKED if lock else _READ, {"ids": sorted(first)})
            for row in rows:
                # A hash may be that of former texts: a release that does not know it, or another program, changed them.
                if content_hash(row.question, row.answer) == first[row.id]:
                    found[first[row.id]] = row
            candidates = {one: keys for one, keys in candidates.items() if keys and one not in found}
        return found

    async def update(self, values: Mapping[int, Mapping[str, Any]], at: datetime, user_id: int | None) -> None:
        """Give each of these conversations its values and make a new version of it, by this account."""
        for statement in _updates(values, {"version": _ROW.version + 1, "updated_at": at, "updated_by": user_id}):
            await self._session.execute(statement)

    async def is_complete(self) -> bool:
        """Return whether every conversation can be found by its content."""
        return (await self._session.execute(_INCOMPLETE)).first() is None

    async def complete(self, limit: int) -> int:
        """Compute what at most `limit` rows lack, which another release or program wrote; return how many."""
        rows = (await self._session.execute(_TO_COMPLETE, {"most": limit})).all()
        for statement in _updates({row.id: computed(row.question, row.answer) for row in rows}, {}):
            await self._session.execute(statement)
        return len(rows)


class ImportLockRepository:
    """The rows that were locked, in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` of the rows inserted before `cutoff` that nobody locks; return how many."""
        old = select(ImportLockRow.content_hash).where(ImportLockRow.created_at < cutoff).limit(limit)
        found = (await self._session.scalars(old.with_for_update(skip_locked=True))).all()
        if found:
            await self._session.execute(delete(ImportLockRow).where(ImportLockRow.content_hash.in_(found)))
        return len(found)


def _updates(values: Mapping[int, Mapping[str, Any]], same: Mapping[str, Any]) -> Iterator[Any]:
    """Yield statements that give each row its own values, of the same columns, and all rows those in `same`."""
    for ids in batched(list(values), CHANGED_AT_ONCE):
        own = {name: _by_id(name, ids, values) for name in values[ids[0]]}
        yield update(_TABLE).where(_ROW.id.in_(ids)).values({**own, **same})


def _by_id(name: str, ids: Sequence[int], values: Mapping[int, Mapping[str, Any]]) -> Any:
    return case({key: literal(values[key][name], _ROW[name].type) for key in ids}, value=_ROW.id)
