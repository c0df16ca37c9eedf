"""What is known of the index, and what the worker's reports change in it."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime

from mh_common.errors import NotFoundError
from mh_common.models import (
    ConversationVersion,
    IndexOutcome,
    IndexReport,
    IndexReportAnswer,
    IndexState,
    IndexStatus,
)

from conversations_api.database import Executor
from conversations_api.index_states.repository import IndexStateRepository, StateChange, StoredState


def _utc_now() -> datetime:
    return datetime.now(UTC)


class IndexStateService:
    """Answers for one request, in its session."""

    def __init__(self, session: Executor, clock: Callable[[], datetime] = _utc_now) -> None:
        self._states = IndexStateRepository(session)
        self._clock = clock

    async def get(self, conversation_id: int) -> IndexState:
        """Return how far the index is with one conversation. Raises `NotFoundError`."""
        state = await self._states.find(conversation_id)
        if state is None:
            raise NotFoundError(f"There is no conversation {conversation_id}.")
        return IndexState(
            conversation_id=conversation_id,
            status=state.status,
            version=state.version,
            indexed_version=state.indexed_version,
            reason=state.reason,
            attempts=state.attempts,
            queued_at=state.queued_at,
            indexed_at=state.indexed_at,
            lag_seconds=self._lag(state),
        )

    def _lag(self, state: StoredState) -> float:
        indexed = state.indexed_at if state.status is IndexStatus.INDEXED else None
        # Times are taken by several processes, whose clocks can differ a little.
        return max(0.0, ((indexed or self._clock()) - state.queued_at).total_seconds())

    async def report(self, report: IndexReport) -> IndexReportAnswer:
        """Note the outcomes and return the present versions, in the order of the report.

        Of several outcomes for one conversation the last counts.
        """
        outcomes = {outcome.conversation_id: outcome for outcome in report.outcomes}
        states = await self._states.lock(outcomes.keys())
        same: defaultdict[StateChange, list[int]] = defaultdict(list)
        for conversation_id, state in states.items():
            same[_change(outcomes[conversation_id], state)].append(conversation_id)
        now = self._clock()
        for change, ids in same.items():
            if change != StateChange():
                await self._states.record(change, ids, now)
        versions = {conversation_id: state.version for conversation_id, state in states.items()}
        return IndexReportAnswer(
            versions=[
                ConversationVersion(conversation_id=one.conversation_id, version=versions.get(one.conversation_id))
                for one in report.outcomes
            ]
        )


def _change(outcome: IndexOutcome, state: StoredState) -> StateChange:
    """Decide what an outcome says that is not known yet. Jobs run twice, late and out of order, and so do reports."""
    succeeded = outcome.status is IndexStatus.INDEXED
    if outcome.version == state.version:
        if state.status is IndexStatus.INDEXED:
            # Known already. A failure of the second try takes nothing away: the index holds this version.
            return StateChange(attempts=1)
        if succeeded:
            return StateChange(attempts=1, status=IndexStatus.INDEXED, indexed_version=outcome.version)
        return StateChange(attempts=1, status=IndexStatus.FAILED, reason=outcome.reason)
    if succeeded and (state.indexed_version or 0) < outcome.version < state.version:
        return StateChange(indexed_version=outcome.version)
    return StateChange()
