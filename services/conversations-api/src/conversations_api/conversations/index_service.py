"""Index states of conversations: the state of a conversation is that of its only unit."""

from collections.abc import Collection
from datetime import datetime

from mh_common.models import IndexFailurePage, IndexState, IndexSummary
from mh_common.units import CONVERSATION, IndexStatus, conversation_unit, conversation_units

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.units.repository import StoredState
from conversations_api.units.service import IndexStateService, UnitState
from conversations_api.units.sources import UnitSources


class ConversationIndexService:
    """Reads and changes the index states of conversations in a session; the caller commits."""

    def __init__(self, session: AsyncSession, sources: UnitSources, clock: Clock = utc_now) -> None:
        self._units = IndexStateService(session, sources, clock)
        self._clock = clock

    async def get(self, conversation_id: int) -> IndexState:
        """Return the index state of a conversation. Raises `NotFoundError`."""
        return self._to_index_state(await self._units.get(conversation_unit(conversation_id)))

    async def reindex(self, conversation_id: int) -> IndexState:
        """Queue a conversation for indexing and return its state. Raises `NotFoundError`."""
        return self._to_index_state(await self._units.reindex(conversation_unit(conversation_id)))

    async def summary(self) -> IndexSummary:
        """Return the number of conversations in each state, and the outbox depth."""
        return await self._units.summary(CONVERSATION)

    async def failures(self, after: int, limit: int) -> IndexFailurePage:
        """Return the states of at most `limit` conversations whose indexing failed, with ids above `after`, by id."""
        states, last = await self._units.failures(conversation_unit(after), limit)
        return IndexFailurePage(
            items=[self._to_index_state(state) for state in states], next_cursor=str(last.source_id) if last else None
        )

    async def queue(self, ids: Collection[int]) -> int:
        """Queue conversations as `IndexStateService.queue` does; return how many were queued."""
        return await self._units.queue(conversation_units(ids))

    def _to_index_state(self, state: UnitState) -> IndexState:
        stored = state.stored
        return IndexState(
            conversation_id=state.key.source_id,
            version=state.version,
            lag_seconds=_lag(stored, self._clock()),
            **stored._asdict(),
        )


def _lag(state: StoredState, now: datetime) -> float:
    indexed = state.indexed_at if state.status is IndexStatus.INDEXED else None
    # The times come from several processes, whose clocks may differ slightly.
    return max(0.0, ((indexed or now) - state.queued_at).total_seconds())
