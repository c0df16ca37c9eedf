"""The index states table."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeVar, cast

from mh_common.batches import batched
from mh_common.models import FoundAdvice, RiskLevel
from mh_common.units import IndexStatus, UnitKey, status_of
from sqlalchemy import Column, ColumnElement, Table, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import IndexStateRow

C = TypeVar("C", bound=StrEnum)

MAX_SOURCES: Final = 1000
"""Maximum number of sources in one statement."""


class StoredState(NamedTuple):
    """An index state as stored."""

    status: IndexStatus
    indexed_version: int | None
    attempts: int
    reason: str | None
    queued_at: datetime
    indexed_at: datetime | None
    screened_by: str | None


class QueuedState(NamedTuple):
    """The part of an index state that reconciliation compares: how long it has been waiting, and what screened it."""

    status: IndexStatus
    queued_at: datetime
    screened_by: str | None


class Screening(NamedTuple):
    """What screening found; all are None if the unit is not screened."""

    risk_level: RiskLevel | None
    unsafe_advice: FoundAdvice | None
    screened_by: str | None


@dataclass(frozen=True, slots=True)
class StateChange:
    """The change that a report makes to an index state. None leaves what it is about unchanged."""

    attempts: int = 0
    status: IndexStatus | None = None
    reason: str | None = None
    indexed_version: int | None = None
    screening: Screening | None = None


_STATES: Final = cast(Table, IndexStateRow.__table__)
_STATE: Final = _STATES.c
_KEY: Final = (_STATE.kind, _STATE.source_id, _STATE.ordinal)
# Not `(kind, source_id, ordinal) IN (...)`: to update such a list of a single key, MariaDB scans the whole table, and
# planning a list of a thousand takes a third of a second.
_MATCHES_KEYS: Final = and_(
    _STATE.kind == bindparam("of_kind"),
    _STATE.source_id.in_(bindparam("source_ids", expanding=True)),
    _STATE.ordinal.in_(bindparam("ordinals", expanding=True)),
)

# Built once, with bound parameters.
_STORED: Final = select(*_KEY, *(_STATE[name] for name in StoredState._fields))
_FIND: Final = _STORED.where(_MATCHES_KEYS)
_KNOWN: Final = select(*_KEY).where(_MATCHES_KEYS)
_INSERT: Final = insert(_STATES)
_QUEUE_AGAIN: Final = (
    update(_STATES)
    .where(_MATCHES_KEYS)
    .values(status=IndexStatus.PENDING, attempts=0, reason=None, queued_at=bindparam("at"))
)
_QUEUE_CHANGED: Final = _QUEUE_AGAIN.values(dict.fromkeys(Screening._fields))
_DELETE: Final = delete(_STATES).where(_MATCHES_KEYS)


class IndexStateRepository:
    """Reads and writes index states in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, keys: Collection[UnitKey]) -> dict[UnitKey, StoredState]:
        """Return the states of these units; units without a state are left out."""
        found: dict[UnitKey, StoredState] = {}
        for parameters in _key_parameters(keys):
            found |= _read(await self._session.execute(_FIND, parameters))
        return found

    async def queued_between(self, first: UnitKey, last: UnitKey) -> dict[UnitKey, QueuedState]:
        """Return what reconciliation compares, for all units of one kind from the source of `first` to that of `last`.

        For thousands of adjacent units this takes a tenth of the time of `find`.
        """
        kind, low, high = first.kind, first.source_id, last.source_id
        query = select(_STATE.source_id, _STATE.ordinal, *(_STATE[name] for name in QueuedState._fields))
        rows = await self._session.execute(query.where(_STATE.kind == kind, _STATE.source_id.between(low, high)))
        return {UnitKey(kind, *row[:2]): QueuedState(*row[2:]) for row in rows}

    async def without_state(self, keys: Collection[UnitKey]) -> list[UnitKey]:
        """Return those of these units that have no state, sorted."""
        known: set[UnitKey] = set()
        for parameters in _key_parameters(keys):
            known.update(UnitKey(*row) for row in await self._session.execute(_KNOWN, parameters))
        return sorted(set(keys) - known)

    async def failed(self, after: UnitKey, limit: int) -> dict[UnitKey, StoredState]:
        """Return the states of at most `limit` failed units of the kind of `after`, with greater keys, by key."""
        query = _STORED.where(_STATE.status == IndexStatus.FAILED, *_after_position(after)).order_by(*_KEY).limit(limit)
        return _read(await self._session.execute(query))

    async def statuses(self, kind: str) -> dict[IndexStatus, int]:
        """Return the number of units in each status, including 0; answered from the table's index alone."""
        return await self._counts(kind, _STATE.status, IndexStatus)

    async def source_statuses(self, kind: str, source_ids: Collection[int]) -> dict[int, IndexStatus]:
        """Return the status of each of these sources that has units, derived from theirs; see `status_of`."""
        query = select(_STATE.source_id, _STATE.status).where(_STATE.kind == kind, _STATE.source_id.in_(source_ids))
        rows = (await self._session.execute(query.distinct().order_by(_STATE.source_id))).all()
        return {key: status_of([row[1] for row in states]) for key, states in groupby(rows, lambda row: row[0])}

    async def risk_levels(self, kind: str) -> dict[RiskLevel, int]:
        """Return the number of screened units at each level, including 0; answered from the table's index alone."""
        return await self._counts(kind, _STATE.risk_level, RiskLevel)

    async def unsafe_advice(self, kind: str) -> dict[FoundAdvice, int]:
        """Return the number of screened units with each kind of advice, as `risk_levels` does."""
        return await self._counts(kind, _STATE.unsafe_advice, FoundAdvice)

    async def _counts(self, kind: str, column: Column[Any], choices: type[C]) -> dict[C, int]:
        query = select(column, func.count()).where(_STATE.kind == kind).group_by(column)
        found = {row[0]: row[1] for row in await self._session.execute(query)}
        return {choice: found.get(choice, 0) for choice in choices}

    async def oldest_pending(self, kind: str) -> datetime | None:
        """Return when the oldest pending unit of this kind was queued; None if there is none."""
        pending = (_STATE.kind == kind, _STATE.status == IndexStatus.PENDING)
        oldest: datetime | None = await self._session.scalar(select(func.min(_STATE.queued_at)).where(*pending))
        return oldest

    async def failure_reasons(self, kind: str, limit: int) -> list[tuple[str, int]]:
        """Return the most frequent failure reasons with their counts, most frequent first."""
        reason, count = _STATE.reason, func.count()
        failed = (_STATE.kind == kind, _STATE.status == IndexStatus.FAILED)
        query = select(reason, count).where(*failed).group_by(reason).order_by(count.desc(), reason)
        return [(row[0] or "", row[1]) for row in await self._session.execute(query.limit(limit))]

    async def queue_new(self, keys: Sequence[UnitKey], at: datetime) -> None:
        """Insert pending states for new units, queued at `at`, in one statement."""
        if keys:
            state = {"status": IndexStatus.PENDING, "attempts": 0, "queued_at": at}
            await self._session.execute(_INSERT, [{**key._asdict(), **state} for key in keys])

    async def queue_again(self, keys: Sequence[UnitKey], at: datetime) -> None:
        """Mark units as pending since `at`. The indexed version remains recorded, and what screening found."""
        for parameters in _key_parameters(keys):
            await self._session.execute(_QUEUE_AGAIN, {**parameters, "at": at})

    async def queue_changed(self, keys: Sequence[UnitKey], at: datetime) -> None:
        """Do as `queue_again` for units whose content has changed: what screening found does not apply to it."""
        for parameters in _key_parameters(keys):
            await self._session.execute(_QUEUE_CHANGED, {**parameters, "at": at})

    async def record(self, change: StateChange, keys: Collection[UnitKey], at: datetime) -> None:
        """Apply the same change to each of these states."""
        values: dict[str, Any] = {}
        if change.attempts:
            values["attempts"] = _STATE.attempts + change.attempts
        if change.status is not None:
            values |= {"status": change.status, "reason": change.reason}
        if change.indexed_version is not None:
            values |= {"indexed_version": change.indexed_version, "indexed_at": at}
        if change.screening is not None:
            values |= change.screening._asdict()
        for parameters in _key_parameters(keys):
            await self._session.execute(update(_STATES).where(_MATCHES_KEYS).values(values), parameters)

    async def delete(self, keys: Sequence[UnitKey]) -> None:
        """Delete the states of units that are deleted in this transaction."""
        for parameters in _key_parameters(keys):
            await self._session.execute(_DELETE, parameters)


def _key_parameters(keys: Collection[UnitKey]) -> Iterator[dict[str, Any]]:
    """Yield the statement parameters that match these units, grouping sources of a kind with the same ordinals.

    For conversations this is a single list of ids.
    """
    ordinals: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for kind, source_id, ordinal in sorted(keys):
        ordinals[kind, source_id].append(ordinal)
    groups: defaultdict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
    for (kind, source_id), of_source in ordinals.items():
        groups[kind, tuple(of_source)].append(source_id)
    for (kind, same), source_ids in groups.items():
        for batch in batched(source_ids, MAX_SOURCES):
            yield {"of_kind": kind, "source_ids": batch, "ordinals": same}


def _read(rows: Iterable[Any]) -> dict[UnitKey, StoredState]:
    return {UnitKey(*row[:3]): StoredState(*row[3:]) for row in rows}


def _after_position(after: UnitKey) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for units of the same kind with greater keys. The second limits the range that is read."""
    kind, source_id, ordinal = _KEY
    later = or_(source_id > after.source_id, ordinal > after.ordinal)
    return kind == after.kind, and_(source_id >= after.source_id, later)
