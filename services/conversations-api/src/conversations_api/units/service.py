"""What is known of the index, and what the worker's reports change in it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from mh_common.errors import NotFoundError
from mh_common.jobs import IndexJob
from mh_common.models import (
    MAX_BULK_ROWS,
    CurrentVersion,
    FailureCount,
    IndexOutcome,
    IndexReport,
    IndexReportAnswer,
    IndexSummary,
    UnitPosition,
    UnitVersion,
    UnitVersions,
)
from mh_common.units import IndexStatus, Unit, UnitKey, before_first

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.units.repository import IndexStateRepository, QueuedState, StateChange, StoredState
from conversations_api.units.sources import UnitSource, UnitSources, source_of

MAX_REASONS: Final = 20
"""Reasons of failures that a summary names."""

_NO_STATE: Final = QueuedState(IndexStatus.PENDING, datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's index state beside its present version."""

    key: UnitKey
    version: int
    stored: StoredState


class IndexStateService:
    """Reads and changes index states in a session, whose owner commits."""

    def __init__(self, session: AsyncSession, sources: UnitSources, clock: Clock = utc_now) -> None:
        self._session = session
        self._sources = sources
        self._states = IndexStateRepository(session)
        self._outbox = OutboxRepository(session)
        self._clock = clock

    async def get(self, key: UnitKey) -> UnitState:
        """Return how far the index is with one unit. Raises `NotFoundError`."""
        found = await self._with_versions(await self._states.find([key]))
        if not found:
            raise _not_found(key)
        return found[0]

    async def failures(self, after: UnitKey, limit: int) -> tuple[list[UnitState], UnitKey | None]:
        """Return the states of at most `limit` units of one kind above `after` whose indexing failed, by key.

        Beside them stands where the next page begins; None on the last one.
        """
        found = await self._states.failed(after, limit + 1)
        page = dict(list(found.items())[:limit])
        return await self._with_versions(page), (list(page)[-1] if len(found) > limit else None)

    async def _with_versions(self, states: dict[UnitKey, StoredState]) -> list[UnitState]:
        """Add the present versions; units that do not exist any more are left out."""
        versions: dict[UnitKey, int] = {}
        for source, keys in self._by_source(states):
            versions.update(await source.versions(keys))
        return [UnitState(key, versions[key], stored) for key, stored in states.items() if key in versions]

    async def summary(self, kind: str) -> IndexSummary:
        """Count the states of one kind, and what is owed to the index, whatever its kind."""
        now = self._clock()
        counts = await self._states.statuses(kind)
        indexed, failed = counts[IndexStatus.INDEXED], counts[IndexStatus.FAILED]
        # After the others: what is indexed or deleted in between then counts as pending or not at all.
        total = max(await self._source(kind).total(), indexed + failed)
        oldest = await self._states.oldest_pending(kind)
        reasons = await self._states.failure_reasons(kind, MAX_REASONS)
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

    async def versions(self, after: UnitKey, limit: int, since: datetime | None) -> UnitVersions:
        """Return present version and status of at most `limit` units of one kind above `after`, by key.

        `since` leaves out those that were changed last before that time. A unit without a state, whose source somebody
        else wrote, has waited for ever.
        """
        found = await self._source(after.kind).page(after, limit + 1, since)
        units = found[:limit]
        states = await self._queued(units, dense=since is None)
        items = [
            CurrentVersion(**key._asdict(), version=version, **states.get(key, _NO_STATE)._asdict())
            for key, version in units
        ]
        if len(found) <= limit:
            return UnitVersions(items=items, next_after=None)
        last = units[-1].key
        return UnitVersions(items=items, next_after=UnitPosition(source_id=last.source_id, ordinal=last.ordinal))

    async def _queued(self, units: Sequence[Unit], *, dense: bool) -> dict[UnitKey, QueuedState]:
        """Return status and time of units in their order; `dense`: there are no others between them."""
        if dense and units:
            return await self._states.queued_between(units[0].key, units[-1].key)
        states = await self._states.find([unit.key for unit in units])
        return {key: QueuedState(state.status, state.queued_at) for key, state in states.items()}

    async def report(self, report: IndexReport) -> IndexReportAnswer:
        """Note the outcomes and return the present versions, in the order of the report.

        Of several outcomes for one unit the last counts. Raises `InvalidRequestError` for a kind that there is not.
        """
        outcomes = {outcome.key: outcome for outcome in report.outcomes}
        versions = await self._lock(outcomes)
        same: defaultdict[StateChange, list[UnitKey]] = defaultdict(list)
        for key, state in (await self._states.find(versions)).items():
            same[_change(outcomes[key], versions[key], state)].append(key)
        now = self._clock()
        for change, keys in same.items():
            if change != StateChange():
                await self._states.record(change, keys, now)
        return IndexReportAnswer(
            versions=[UnitVersion(**one.key._asdict(), version=versions.get(one.key)) for one in report.outcomes]
        )

    async def queue(self, keys: Collection[UnitKey]) -> int:
        """Queue those of the units that exist to be indexed, the others to be deleted from the index.

        Return how many that are. A unit without a state, whose source somebody else wrote, gets one; a state without a
        unit goes. Raises `InvalidRequestError` for a kind that there is not.
        """
        present = sorted(await self._lock(keys))
        absent = sorted(set(keys).difference(present))
        now = self._clock()
        await self._states.queue_new(await self._states.without_state(present), now)
        await self._states.queue_again(present, now)
        await self._states.delete(absent)
        await self._outbox.add(IndexJob.UPDATED, present)
        await self._outbox.add(IndexJob.DELETED, absent)
        return len(present) + len(absent)

    async def reindex(self, key: UnitKey) -> UnitState:
        """Queue one unit and return its state. Raises `NotFoundError`."""
        if not await self._lock([key]):
            raise _not_found(key)
        await self.queue([key])
        return await self.get(key)

    async def _lock(self, keys: Iterable[UnitKey]) -> dict[UnitKey, int]:
        """Return the present versions of those that exist; see `UnitSource.lock`. Kinds have an order, too."""
        versions: dict[UnitKey, int] = {}
        for source, of_kind in self._by_source(keys):
            versions.update(await source.lock(of_kind))
        return versions

    def _by_source(self, keys: Iterable[UnitKey]) -> Iterator[tuple[UnitSource, list[UnitKey]]]:
        for kind, of_kind in groupby(sorted(set(keys)), lambda key: key.kind):
            yield self._source(kind), list(of_kind)

    def _source(self, kind: str) -> UnitSource:
        return source_of(self._sources, kind)(self._session)


async def retry_failed(sessions: SessionFactory, sources: UnitSources, kind: str) -> int:
    """Queue all units of a kind whose indexing failed, many in each transaction; return how many those are.

    Each is queued once, also when it fails again meanwhile. Raises `UnavailableError`.
    """
    after, queued = before_first(kind), 0
    while True:
        with database_errors():
            async with sessions.begin() as session:
                keys = list(await IndexStateRepository(session).failed(after, MAX_BULK_ROWS))
                queued += await IndexStateService(session, sources).queue(keys)
        if len(keys) < MAX_BULK_ROWS:
            return queued
        after = keys[-1]


def _not_found(key: UnitKey) -> NotFoundError:
    return NotFoundError(f"There is no {key.kind} {key.source_id}.")


def _change(outcome: IndexOutcome, version: int, state: StoredState) -> StateChange:
    """Decide what an outcome says that is not known yet. Jobs run twice, late and out of order, and so do reports."""
    succeeded = outcome.status is IndexStatus.INDEXED
    if outcome.version == version:
        if state.status is IndexStatus.INDEXED:
            # Known already. A failure of the second try takes nothing away: the index holds this version.
            return StateChange(attempts=1)
        if succeeded:
            return StateChange(attempts=1, status=IndexStatus.INDEXED, indexed_version=outcome.version)
        return StateChange(attempts=1, status=IndexStatus.FAILED, reason=outcome.reason)
    if succeeded and (state.indexed_version or 0) < outcome.version < version:
        return StateChange(indexed_version=outcome.version)
    return StateChange()
