"""The query history table."""

import json
from datetime import datetime
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from mh_common.models import Feedback, HistoryEntry, HistoryEntryCreate
from sqlalchemy import ColumnElement, CursorResult, delete, false, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import HistoryRow

_PLAIN: Final = (
    "question",
    "standalone_query",
    "answer",
    "model",
    "prompt_version",
    "latency_ms",
    "risk_level",
    "withheld",
)


class Owner(NamedTuple):
    """Whose entries are meant: an account's own, those of a person without one, or, without both, nobody's."""

    account_id: int | None = None
    identity_id: int | None = None


class HistoryRepository:
    """Reads and writes entries in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, content: HistoryEntryCreate, owner: Owner, at: datetime) -> bool:
        """Insert an entry; return False if one with its `answer_id` exists, which is left unchanged."""
        row = {
            **owner._asdict(),
            **content.model_dump(mode="json", include=set(_PLAIN)),
            "answer_id": str(content.answer_id),
            "created_at": at,
            "filters": json.dumps(content.filters, ensure_ascii=False),
            "hits": json.dumps([hit.model_dump() for hit in content.hits]),
            "usage": content.usage.model_dump_json(),
            "risk_categories": json.dumps(content.risk_categories),
        }
        try:
            # A Core statement: the transaction survives if it is rejected, which it does not for an ORM object.
            await self._session.execute(insert(HistoryRow).values(row))
        except IntegrityError:
            return False
        return True

    async def find(self, answer_id: UUID) -> HistoryRow | None:
        """Return an entry, or None."""
        query = select(HistoryRow).where(HistoryRow.answer_id == str(answer_id))
        row: HistoryRow | None = await self._session.scalar(query)
        return row

    async def lock(self, answer_id: UUID) -> HistoryRow | None:
        """Return an entry, or None; it is locked against other writers until the commit."""
        query = select(HistoryRow).where(HistoryRow.answer_id == str(answer_id))
        row: HistoryRow | None = await self._session.scalar(query.with_for_update())
        return row

    async def list(self, owner: Owner, before: int | None, limit: int) -> list[HistoryRow]:
        """Return at most `limit` of the owner's entries with keys below `before`, newest first."""
        query = select(HistoryRow).where(_belongs_to(owner)).order_by(HistoryRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(HistoryRow.id < before)
        return list(await self._session.scalars(query))

    async def delete(self, row: HistoryRow) -> None:
        """Delete a locked entry."""
        await self._session.delete(row)

    async def delete_of(self, owner: Owner) -> int:
        """Delete all of an owner's entries; return how many there were."""
        return await self._delete(_belongs_to(owner))

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` of the entries stored before `cutoff`, oldest first; return how many."""
        old = select(HistoryRow.id).where(HistoryRow.created_at < cutoff).order_by(HistoryRow.created_at).limit(limit)
        keys = (await self._session.scalars(old)).all()
        return await self._delete(HistoryRow.id.in_(keys)) if keys else 0

    async def _delete(self, which: ColumnElement[bool]) -> int:
        done = await self._session.execute(delete(HistoryRow).where(which))
        return cast(CursorResult[Any], done).rowcount


def _belongs_to(owner: Owner) -> ColumnElement[bool]:
    if owner.account_id is not None:
        return HistoryRow.account_id == owner.account_id
    return false() if owner.identity_id is None else HistoryRow.identity_id == owner.identity_id


def owner_of(row: HistoryRow) -> Owner:
    """Return to whom an entry belongs."""
    return Owner(row.account_id, row.identity_id)


def to_feedback(row: HistoryRow) -> Feedback:
    """Return the feedback that a row holds."""
    return Feedback(rating=row.rating, comment=row.comment, risk_notice=row.risk_notice, at=row.feedback_at)


def to_entry(row: HistoryRow, user_id: str | None) -> HistoryEntry:
    """Return the entry that a row holds; `user_id` is what its owner is called."""
    rated = None if row.feedback_at is None else to_feedback(row)
    return HistoryEntry(
        user_id=user_id,
        **{name: getattr(row, name) for name in _PLAIN},
        answer_id=UUID(row.answer_id),
        created_at=row.created_at,
        filters=json.loads(row.filters),
        hits=json.loads(row.hits),
        usage=json.loads(row.usage),
        risk_categories=json.loads(row.risk_categories or "[]"),
        feedback=rated,
    )
