"""The table of idempotency keys."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mh_common.errors import IdempotencyConflictError, IdempotencyMismatchError
from pydantic import BaseModel
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.database_errors import is_locked
from conversations_api.models import IdempotencyKeyRow

KEY_LIFETIME: Final = timedelta(hours=24)
"""How long an answer can be had again."""


@dataclass(frozen=True)
class KeyedRequest:
    """A request that came with an idempotency key. `digest` is equal for equal requests to the same route."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str | None, route: str, body: BaseModel) -> "KeyedRequest | None":
        """Return the request as it is known by its key; None when it came without one."""
        if key is None:
            return None
        # Without what is null, so that a release with more fields knows the requests of the one before it.
        return cls(key, hashlib.sha256(f"{route}\n{body.model_dump_json(exclude_none=True)}".encode()).hexdigest())


@dataclass(frozen=True)
class IdempotentResult:
    """What was done for a request: the keys of what it made or deleted, and when."""

    ids: Sequence[int]
    at: datetime
    replayed: bool = False


class IdempotencyRepository:
    """Reads and writes keys in a session.

    A key is taken, the work done and its result kept in one transaction: until its commit the key is locked for others,
    and when the work fails the key was never there.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, request: KeyedRequest, at: datetime) -> IdempotentResult | None:
        """Take the key for the work that follows, or return what was done for it already.

        Raises:
            IdempotencyConflictError: Another request with the key is in work.
            IdempotencyMismatchError: The key was used with another request.
        """
        row = await self._find_or_insert(request, at)
        if row is None:
            return None
        if row.request_hash != request.digest:
            raise IdempotencyMismatchError("The Idempotency-Key was used before, with another request.")
        return IdempotentResult(json.loads(row.result_ids), row.created_at, replayed=True)

    async def save_result(self, request: KeyedRequest, result: IdempotentResult) -> None:
        """Keep what was done under the key taken before."""
        await self._session.execute(
            update(IdempotencyKeyRow)
            .where(IdempotencyKeyRow.key == request.key)
            .values(result_ids=json.dumps(list(result.ids)))
        )

    async def delete_before(self, than: datetime, limit: int) -> int:
        """Delete at most `limit` of the keys taken before `than`; return how many."""
        old = select(IdempotencyKeyRow.key).where(IdempotencyKeyRow.created_at < than).limit(limit)
        keys = (await self._session.scalars(old)).all()
        if keys:
            await self._session.execute(delete(IdempotencyKeyRow).where(IdempotencyKeyRow.key.in_(keys)))
        return len(keys)

    async def _find_or_insert(self, request: KeyedRequest, at: datetime) -> IdempotencyKeyRow | None:
        try:
            # NOWAIT also fails on a row that is inserted but not committed: the request is still in work.
            row = await self._find(request.key, lock=True)
            if row is None:
                await self._insert(request, at)
        except IntegrityError:  # a request that came at the same time was done first
            return await self._find(request.key)
        except DBAPIError as error:
            if not is_locked(error):
                raise
            # A finished one may be locked for a moment by another repetition.
            row = await self._find(request.key)
            if row is None:
                raise IdempotencyConflictError("A request with this Idempotency-Key is still in work.") from error
        return row

    async def _find(self, key: str, lock: bool = False) -> IdempotencyKeyRow | None:
        query = select(IdempotencyKeyRow).where(IdempotencyKeyRow.key == key)
        row: IdempotencyKeyRow | None = await self._session.scalar(
            query.with_for_update(nowait=True) if lock else query
        )
        return row

    async def _insert(self, request: KeyedRequest, at: datetime) -> None:
        row = {"key": request.key, "request_hash": request.digest, "created_at": at, "result_ids": "[]"}
        # As a statement: of a refused one the transaction goes on, of an object that is refused it does not.
        await self._session.execute(insert(IdempotencyKeyRow).values(row))
