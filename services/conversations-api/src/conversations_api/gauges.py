"""Gauges of the outbox and the index, read from the database at scrapes and cached for a short time."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog
from mh_common.metrics import Collector, GaugeMetricFamily, Metric
from mh_common.units import CONVERSATION, IndexStatus

from conversations_api.database import SessionFactory
from conversations_api.outbox.repository import OutboxRepository
from conversations_api.units.repository import IndexStateRepository

log = structlog.get_logger(__name__)

GAUGES_INCOMPLETE: Final = "gauges_incomplete"
"""The database did not answer in time: some gauges have no value."""

CACHE_S: Final = 2.0
"""Seconds for which values are reused: scrapes within this time query the database once."""
TIME_LIMIT_S: Final = 2.0
"""Values not read within this time are left out: a scrape must not hang because of a slow database."""


@dataclass
class GaugeValues:
    """The values read by one refresh; None, or no entry, if a value could not be read."""

    depth: int | None = None
    relay_lag: float | None = None
    index_lag: float | None = None
    statuses: dict[IndexStatus, int] = field(default_factory=dict)


class Gauges(Collector):
    """Exports the values. If the database is unreachable, that is exported as a metric and raises no error."""

    def __init__(
        self, sessions: SessionFactory, kinds: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sessions = sessions
        self._kinds = kinds
        self._clock = clock
        self._values = GaugeValues()
        self._valid_until = float("-inf")
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Read the values again, unless the cached ones are recent enough."""
        async with self._refreshing:
            if self._clock() < self._valid_until:
                return
            values = GaugeValues()
            try:
                async with asyncio.timeout(TIME_LIMIT_S):
                    await self._query(values)
            except Exception as error:  # whatever it is, the other metrics must still be shown
                log.warning(GAUGES_INCOMPLETE, error=type(error).__name__)
            self._values, self._valid_until = values, self._clock() + CACHE_S

    async def _query(self, values: GaugeValues) -> None:
        async with self._sessions() as session:
            outbox, states = OutboxRepository(session), IndexStateRepository(session)
            values.relay_lag = _age(await outbox.oldest())
            values.depth = await outbox.depth()
            pending = [await states.oldest_pending(kind) for kind in self._kinds]
            values.index_lag = max(_age(moment) for moment in pending)
            # Last, as it scans a whole index and so takes longest.
            values.statuses = await states.statuses(CONVERSATION)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        values = self._values
        up = float(values.depth is not None)
        yield GaugeMetricFamily("mh_database_up", "1 when the database answered the last scrape, else 0.", up)
        yield _gauge("mh_outbox_depth", "Outbox rows not yet published to the job queue.", values.depth)
        yield _gauge("mh_outbox_oldest_seconds", "Age of the oldest outbox row: the relay's lag.", values.relay_lag)
        yield _gauge(
            "mh_index_oldest_pending_seconds",
            "How long the oldest pending unit has been waiting to be indexed: the index's lag.",
            values.index_lag,
        )
        states = GaugeMetricFamily("mh_index_conversations", "Conversations by index status.", labels=["status"])
        for status, number in values.statuses.items():
            states.add_metric([status.value], number)
        yield states


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """Return a metric; without a value, it has no sample."""
    family = GaugeMetricFamily(name, text, labels=())
    if value is not None:
        family.add_metric([], value)
    return family


def _age(moment: datetime | None) -> float:
    """Return how long ago that was, in seconds; 0 for None, and for times slightly in the future (clock skew)."""
    return 0.0 if moment is None else max(0.0, (datetime.now(UTC) - moment).total_seconds())
