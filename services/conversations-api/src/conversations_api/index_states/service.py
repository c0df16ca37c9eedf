"""What is known of the index, and what the worker's reports change in it."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Final

from mh_common.errors import NotFoundError
from mh_common.jobs import IndexJob
from mh_common.models import (
    MAX_BULK_ROWS,
    ConversationVersion,
    ConversationVersions,
    FailureCount,
    IndexFailurePage,
    IndexOutcome,
    IndexReport,
    IndexReportAnswer,
    IndexState,
    IndexStatus,
    IndexSummary,
)

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.index_states.repository import IndexStateRepository, StateChange, StoredState
from conversations_api.outbox.repository import OutboxRepository

MAX_REASONS: Final = 20
"""Reasons of failures that a summary names."""


class IndexStateService:
    """Reads and changes index states in a session, whose owner commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._states = IndexStateRepository(session)
        self._outbox = OutboxRepository(session)
        self._clock = clock

    async def get(self, conversation_id: int) -> IndexState:
        """Return how far the index is with one conversation. Raises `NotFoundError`."""
        state = await self._states.find(conversation_id)
        if state is None:
            raise NotFoundError(f"There is no conversation {conversation_id}.")
        return self._state(conversation_id, state)

    def _state(self, conversation_id: int, state: StoredState) -> IndexState:
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

    async def summary(self) -> IndexSummary:
        """Count the states and what is owed."""
        now = self._clock()
        counts = await self._states.statuses()
        indexed, failed = counts[IndexStatus.INDEXED], counts[IndexStatus.FAILED]
        # After the others: what is indexed or deleted in between then counts as pending or not at all.
        total = max(await self._states.total(), indexed + failed)
        oldest = await self._states.oldest_pending()
        reasons = await self._states.failure_reasons(MAX_REASONS)
        return IndexSummary(
            total=total,
            pending=total - indexed - failed,
            indexed=indexed,
            failed=failed,
            oldest_pending_at=oldest,
            lag_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
            outbox_depth=await self._outbox.depth(),
            oldest_outbox_at=await self._outbox.oldest(),
            failures=[FailureCount(reason=reason, count=count) for reason, count in reasons],
        )

    async def failures(self, after: int, limit: int) -> IndexFailurePage:
        """Return the states of at most `limit` conversations whose indexing failed, with ids above `after`, by id."""
        found = await self._states.failed(after, limit + 1)
        items = [self._state(key, state) for key, state in found.items()][:limit]
        more = len(found) > limit
        return IndexFailurePage(items=items, next_cursor=str(items[-1].conversation_id) if more else None)

    async def versions(self, after: int, limit: int, since: datetime | None) -> ConversationVersions:
        """Return id and present version of at most `limit` conversations with ids above `after`, by id."""
        found = await self._states.versions(after, limit + 1, since)
        items = found[:limit]
        return ConversationVersions(items=items, next_after=items[-1].conversation_id if len(found) > limit else None)

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

    async def queue(self, ids: Collection[int]) -> int:
        """Queue those of the conversations that exist to be indexed, the others to be deleted from the index.

        Return how many that are. A conversation without an index state, which somebody else wrote, gets one.
        """
        present = await self._states.lock_conversations(ids)
        absent = sorted(set(ids).difference(present))
        now = self._clock()
        await self._states.queue_new(await self._states.without_state(present), now)
        await self._states.queue_again(present, now)
        await self._outbox.add(IndexJob.UPDATED, present)
        await self._outbox.add(IndexJob.DELETED, absent)
        return len(present) + len(absent)

    async def reindex(self, conversation_id: int) -> IndexState:
        """Queue one conversation and return its state. Raises `NotFoundError`."""
        if not await self._states.lock_conversations([conversation_id]):
            raise NotFoundError(f"There is no conversation {conversation_id}.")
        await self.queue([conversation_id])
        return await self.get(conversation_id)


async def retry_failed(sessions: SessionFactory) -> int:
    """Queue all conversations whose indexing failed, many in each transaction; return how many those are.

    Each is queued once, also when it fails again meanwhile. Raises `UnavailableError`.
    """
    after, queued = 0, 0
    while True:
        with database_errors():
            async with sessions.begin() as session:
                ids = list(await IndexStateRepository(session).failed(after, MAX_BULK_ROWS))
                queued += await IndexStateService(session).queue(ids)
        if len(ids) < MAX_BULK_ROWS:
            return queued
        after = ids[-1]


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
