"""The query history table."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from mh_common.models import Feedback, HistoryEntry, HistoryEntryCreate
from sqlalchemy import CursorResult, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from conversations_api.database import Executor
from conversations_api.models import HistoryRow

_ROW: Final = HistoryRow
_FIELDS: Final = [getattr(HistoryRow, column.key) for column in HistoryRow.__table__.columns]
_PLAIN: Final = ("user_id", "question", "standalone_query", "answer", "model", "prompt_version", "latency_ms")

PURGE_CHUNK: Final = 500


class Stored(NamedTuple):
    """An entry and its place in the list."""

    key: int
    entry: HistoryEntry


class HistoryRepository:
    """Reads and writes entries; what it writes, within the session's transaction."""

    def __init__(self, session: Executor) -> None:
        self.session = session

    async def add(self, content: HistoryEntryCreate, at: datetime) -> bool:
        """Insert an entry; False when there is one with its `answer_id`, which stays as it is."""
        row = {
            **content.model_dump(include=set(_PLAIN)),
            "answer_id": str(content.answer_id),
            "created_at": at,
            "filters": json.dumps(content.filters, ensure_ascii=False),
            "hits": json.dumps([hit.model_dump() for hit in content.hits]),
            "usage": content.usage.model_dump_json(),
        }
        try:
            await self.session.execute(insert(HistoryRow).values(row))
        except IntegrityError:
            return False
        return True

    async def find(self, answer_id: UUID, for_update: bool = False) -> HistoryEntry | None:
        """Return an entry; `for_update` holds off other writers until the commit."""
        query = select(*_FIELDS).where(_ROW.answer_id == str(answer_id))
        row = (await self.session.execute(query.with_for_update() if for_update else query)).one_or_none()
        return None if row is None else _entry(row)

    async def list(self, user_id: str, before: int | None, limit: int) -> list[Stored]:
        """Return at most `limit` of the user's entries with keys below `before`, newest first."""
        query = select(*_FIELDS).where(_ROW.user_id == user_id).order_by(_ROW.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_ROW.id < before)
        return [Stored(row.id, _entry(row)) for row in await self.session.execute(query)]

    async def set_feedback(self, answer_id: UUID, feedback: Feedback) -> None:
        """Store feedback in the place of what was there."""
        values = {"rating": feedback.rating, "comment": feedback.comment, "feedback_at": feedback.at}
        statement = update(HistoryRow).where(_ROW.answer_id == str(answer_id)).values(values)
        await self.session.execute(statement)

    async def delete(self, answer_id: UUID) -> None:
        """Delete an entry, if there is one."""
        await self._delete(_ROW.answer_id == str(answer_id))

    async def delete_of(self, user_id: str) -> int:
        """Delete all of a user's entries; return how many there were."""
        return await self._delete(_ROW.user_id == user_id)

    async def delete_older(self, than: datetime) -> int:
        """Delete some of the entries stored before `than`; return how many, 0 when there are none left."""
        old = select(_ROW.id).where(_ROW.created_at < than).order_by(_ROW.created_at).limit(PURGE_CHUNK)
        keys = list((await self.session.execute(old)).scalars())
        return await self._delete(_ROW.id.in_(keys)) if keys else 0

    async def _delete(self, which: Any) -> int:
        statement = delete(HistoryRow).where(which)
        return int(cast(CursorResult[Any], await self.session.execute(statement)).rowcount)


def _entry(row: Row[*tuple[Any, ...]]) -> HistoryEntry:
    values: Mapping[str, Any] = {name: getattr(row, name) for name in _PLAIN}
    return HistoryEntry(
        **values,
        answer_id=UUID(row.answer_id),
        created_at=row.created_at,
        filters=json.loads(row.filters),
        hits=json.loads(row.hits),
        usage=json.loads(row.usage),
        feedback=Feedback(rating=row.rating, comment=row.comment, at=row.feedback_at) if row.rating else None,
    )
