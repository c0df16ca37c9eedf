"""The idempotency keys table."""

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
"""How long a repeated request gets the first one's response."""


@dataclass(frozen=True)
class KeyedRequest:
    """A request with an idempotency key. `digest` is the same for equal requests to the same route."""

    key: str
    digest: str

    @classmethod
    def of(
        cls, key: str | None, route: str, body: BaseModel, user_id: int | None = None, acts_for: str | None = None
    ) -> "KeyedRequest | None":
        """Return the key with the digest of the request of this user; None if the request has no key.

        `acts_for` is the id of the person without an account for whom the user makes it.
        """
        if key is None:
            return None
        # What is not said is left out, so that a release with additional fields computes the same digest.
        sent = body.model_dump_json(exclude_none=True, exclude_defaults=True)
        # Nobody gets the result of another user's request by choosing the same key.
        person = "" if acts_for is None else f" for {acts_for}"
        by = [] if user_id is None else [f"user {user_id}{person}"]
        return cls(key, hashlib.sha256("\n".join([*by, route, sent]).encode()).hexdigest())


@dataclass(frozen=True)
class IdempotentResult:
    """The result of a request: the ids of the rows it created or deleted, and when.

    `outcomes` says for each id what happened, if that is not the same for all.
    """

    ids: Sequence[int]
    at: datetime
    replayed: bool = False
    outcomes: Sequence[str] = ()

    def to_json(self) -> str:
        """Return what is stored of it. Ids alone are a list, as releases without outcomes read and write it."""
        ids = list(self.ids)
        return json.dumps({"ids": ids, "outcomes": list(self.outcomes)} if self.outcomes else ids)

    @classmethod
    def from_json(cls, text: str, at: datetime) -> "IdempotentResult":
        """Return a result that was stored, to be repeated."""
        stored = json.loads(text)
        parts = stored if isinstance(stored, dict) else {"ids": stored}
        return cls(at=at, replayed=True, **parts)


class IdempotencyRepository:
    """Reads and writes keys in a session.

    Claiming a key, doing the work and saving its result happen in one transaction: until it commits, the key is locked
    for others, and if the work fails, the key is rolled back too.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def claim(self, request: KeyedRequest, at: datetime) -> IdempotentResult | None:
        """Claim the key for the work that follows, or return the result of a request that was already processed.

        Raises:
            IdempotencyConflictError: Another request with the same key is still being processed.
            IdempotencyMismatchError: The key was used for a different request.
        """
        row = await self._find_or_insert(request, at)
        if row is None:
            return None
        if row.request_hash != request.digest:
            raise IdempotencyMismatchError("The Idempotency-Key was already used for another request. Use a new key.")
        return IdempotentResult.from_json(row.result_ids, row.created_at)

    async def save_result(self, request: KeyedRequest | None, result: IdempotentResult) -> IdempotentResult:
        """Save the result under the key claimed before, if the request has one; return it."""
        if request is not None:
            values = {"result_ids": result.to_json()}
            await self._session.execute(
                update(IdempotencyKeyRow).where(IdempotencyKeyRow.key == request.key).values(values)
            )
        return result

    async def delete_before(self, cutoff: datetime, limit: int) -> int:
        """Delete at most `limit` of the keys claimed before `cutoff`; return how many."""
        old = select(IdempotencyKeyRow.key).where(IdempotencyKeyRow.created_at < cutoff).limit(limit)
        keys = (await self._session.scalars(old)).all()
        if keys:
            await self._session.execute(delete(IdempotencyKeyRow).where(IdempotencyKeyRow.key.in_(keys)))
        return len(keys)

    async def _find_or_insert(self, request: KeyedRequest, at: datetime) -> IdempotencyKeyRow | None:
        try:
            # NOWAIT also fails on a row that is inserted but not committed: that request is still being processed.
            row = await self._find(request.key, lock=True)
            if row is None:
                await self._insert(request, at)
        except IntegrityError:  # a concurrent request with the same key was committed first
            return await self._find(request.key)
        except DBAPIError as error:
            if not is_locked(error):
                raise
            # The row of a finished request may be locked briefly by another repetition.
            row = await self._find(request.key)
            if row is None:
                raise IdempotencyConflictError(
                    "A request with this Idempotency-Key is still being processed."
                ) from error
        return row

    async def _find(self, key: str, lock: bool = False) -> IdempotencyKeyRow | None:
        query = select(IdempotencyKeyRow).where(IdempotencyKeyRow.key == key)
        row: IdempotencyKeyRow | None = await self._session.scalar(
            query.with_for_update(nowait=True) if lock else query
        )
        return row

    async def _insert(self, request: KeyedRequest, at: datetime) -> None:
        row = {"key": request.key, "request_hash": request.digest, "created_at": at, "result_ids": "[]"}
        # A Core statement: the transaction survives if it is rejected, which it does not for an ORM object.
        await self._session.execute(insert(IdempotencyKeyRow).values(row))
