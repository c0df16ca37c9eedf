"""Operations on experiments: store, read, delete."""

from mh_common.models import ExperimentCreate, ExperimentDetail, ExperimentKind, ExperimentPage

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.experiments.repository import ExperimentRepository
from conversations_api.idempotency.repository import IdempotencyRepository, IdempotentResult, KeyedRequest


class ExperimentService:
    """Reads and changes experiments in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._experiments = ExperimentRepository(session)
        self._keys = IdempotencyRepository(session)
        self._clock = clock

    async def get(self, experiment_id: int) -> ExperimentDetail:
        """Return an experiment. Raises `NotFoundError`."""
        return await self._experiments.get(experiment_id)

    async def list(
        self, before: int | None, limit: int, data_set_sha256: str | None, kind: ExperimentKind | None = None
    ) -> ExperimentPage:
        """Return one page, newest first; `before` is the cursor of the previous page."""
        found = await self._experiments.list(before, limit + 1, data_set_sha256, kind)
        items = found[:limit]
        return ExperimentPage(items=items, next_cursor=str(items[-1].id) if len(found) > limit else None)

    async def add(self, content: ExperimentCreate, request: KeyedRequest | None) -> IdempotentResult:
        """Store an experiment; a repeated request stores nothing and returns the first one's id and time.

        Raises:
            IdempotencyConflictError: Another request with the same idempotency key is still being processed.
            IdempotencyMismatchError: The idempotency key was used for a different request.
        """
        now = self._clock()
        if request and (result := await self._keys.claim(request, now)):
            return result
        result = IdempotentResult([await self._experiments.add(content, now)], now)
        return await self._keys.save_result(request, result)

    async def delete(self, experiment_id: int) -> None:
        """Delete an experiment. Raises `NotFoundError`."""
        await self._experiments.delete(experiment_id)
