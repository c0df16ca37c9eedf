"""Operations on index states, and how the worker's reports change them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    UnitScreening,
    UnitVersion,
    UnitVersions,
)
from mh_common.units import IndexStatus, Unit, UnitKey, before_first

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.units.repository import (
    IndexStateRepository,
    QueuedState,
    Screening,
    StateChange,
    StoredState,
)
from conversations_api.units.sources import UnitSource, UnitSources, source_of

MAX_REASONS: Final = 20
"""Maximum number of failure reasons in a summary."""

_NO_STATE: Final = QueuedState(IndexStatus.PENDING, datetime(1970, 1, 1, tzinfo=UTC), None)


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's current version and its index state."""

    key: UnitKey
    version: int
    stored: StoredState


class IndexStateService:
    """Reads and changes index states in a session; the caller commits."""

    def __init__(self, session: AsyncSession, sources: UnitSources, clock: Clock = utc_now) -> None:
        self._session = session
        self._sources = sources
        self._states = IndexStateRepository(session)
        self._outbox = OutboxRepository(session)
        self._clock = clock

    async def get(self, key: UnitKey) -> UnitState:
        """Return the index state of one unit. Raises `NotFoundError`."""
        found = await self._with_versions(await self._states.find([key]))
        if not found:
            raise _not_found(key)
        return found[0]

    async def failures(self, after: UnitKey, limit: int) -> tuple[list[UnitState], UnitKey | None]:
        """Return the states of at most `limit` failed units of the kind of `after`, with greater keys, by key.

        The second value is the key to start the next page after; None on the last page.
        """
        found = await self._states.failed(after, limit + 1)
        page = dict(list(found.items())[:limit])
        return await self._with_versions(page), (list(page)[-1] if len(found) > limit else None)

    async def _with_versions(self, states: dict[UnitKey, StoredState]) -> list[UnitState]:
        """Add the current versions; units that no longer exist are left out."""
        versions: dict[UnitKey, int] = {}
        for source, keys in self._by_source(states):
            versions.update(await source.versions(keys))
        return [UnitState(key, versions[key], stored) for key, stored in states.items() if key in versions]

    async def summary(self, kind: str) -> IndexSummary:
        """Return the counts and the lag of one kind, and the outbox depth of all kinds."""
        now = self._clock()
        counts = await self._states.statuses(kind)
        indexed, failed = counts[IndexStatus.INDEXED], counts[IndexStatus.FAILED]
        # Counted after the states: what is indexed in between counts as pending, and what is deleted not at all.
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
        """Return current version and status of at most `limit` units of the kind of `after`, with greater keys, by key.

        `since` restricts them to units whose source changed at or after that time. A unit without a state, whose source
        another program wrote to the database, counts as pending since 1970.
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
        """Return what reconciliation compares of these sorted units; `dense`: no other units lie between them."""
        if dense and units:
            return await self._states.queued_between(units[0].key, units[-1].key)
        states = await self._states.find([unit.key for unit in units])
        return {key: QueuedState(state.status, state.queued_at, state.screened_by) for key, state in states.items()}

    async def report(self, report: IndexReport) -> IndexReportAnswer:
        """Store what is reported, and return the current versions of the units with an outcome, in their order.

        If a unit has several outcomes, the last one counts; likewise of its screenings. Raises `InvalidRequestError`
        for an unknown kind.
        """
        outcomes = {outcome.key: outcome for outcome in report.outcomes}
        screenings = {screening.key: screening for screening in report.screenings}
        versions = await self._lock([*outcomes, *screenings])
        changes: defaultdict[StateChange, list[UnitKey]] = defaultdict(list)
        for key, state in (await self._states.find(versions)).items():
            change = _change(outcomes[key], versions[key], state) if key in outcomes else StateChange()
            change = replace(change, screening=_current(screenings.get(key), versions[key]))
            changes[change].append(key)
        now = self._clock()
        for change, keys in changes.items():
            if change != StateChange():
                await self._states.record(change, keys, now)
        return IndexReportAnswer(
            versions=[UnitVersion(**one.key._asdict(), version=versions.get(one.key)) for one in report.outcomes]
        )

    async def queue(self, keys: Collection[UnitKey]) -> int:
        """Queue units that exist for indexing, and the others for deletion from the index; return how many.

        A unit without a state, whose source another program wrote to the database, gets one; a state without a unit is
        deleted. Raises `InvalidRequestError` for an unknown kind.
        """
        existing = sorted(await self._lock(keys))
        absent = sorted(set(keys).difference(existing))
        now = self._clock()
        await self._states.queue_new(await self._states.without_state(existing), now)
        await self._states.queue_again(existing, now)
        await self._states.delete(absent)
        await self._outbox.add(IndexJob.UPDATED, existing)
        await self._outbox.add(IndexJob.DELETED, absent)
        return len(existing) + len(absent)

    async def reindex(self, key: UnitKey) -> UnitState:
        """Queue one unit for indexing and return its state. Raises `NotFoundError`."""
        if not await self._lock([key]):
            raise _not_found(key)
        await self.queue([key])
        return await self.get(key)

    async def _lock(self, keys: Iterable[UnitKey]) -> dict[UnitKey, int]:
        """Lock the units and return the current versions of those that exist; see `UnitSource.lock`.

        Kinds are locked in sorted order too.
        """
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
    """Queue all failed units of a kind, in several transactions; return how many were queued.

    Each is queued once, even if it fails again in the meantime. Raises `UnavailableError`.
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
    """Return what an outcome changes in a state. Like jobs, reports can be repeated, late or out of order."""
    succeeded = outcome.status is IndexStatus.INDEXED
    if outcome.version == version:
        if state.status is IndexStatus.INDEXED:
            # Already known. If a repeated attempt fails, the index still contains this version.
            return StateChange(attempts=1)
        if succeeded:
            return StateChange(attempts=1, status=IndexStatus.INDEXED, indexed_version=outcome.version)
        return StateChange(attempts=1, status=IndexStatus.FAILED, reason=outcome.reason)
    if succeeded and (state.indexed_version or 0) < outcome.version < version:
        return StateChange(indexed_version=outcome.version)
    return StateChange()


def _current(reported: UnitScreening | None, version: int) -> Screening | None:
    """Return what was found in the current version; a report about another one says nothing about it."""
    if reported is None or reported.version != version:
        return None
    return Screening(reported.risk_level, reported.unsafe_advice, reported.screened_by)
