"""How much is owed to the index, looked up in the database when somebody scrapes, but not for each of them."""

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
"""The database did not answer, or not in time: values are missing among the metrics."""

CACHE_S: Final = 2.0
"""Any number of scrapes within this time cost one look."""
TIME_LIMIT_S: Final = 2.0
"""What is not found within this time is left out: a scrape must not hang on a slow database."""


@dataclass
class GaugeValues:
    """What one look found; None, or no entry, where it found nothing."""

    depth: int | None = None
    relay_lag: float | None = None
    index_lag: float | None = None
    statuses: dict[IndexStatus, int] = field(default_factory=dict)


class Gauges(Collector):
    """Shows what the database says. That it is away is a figure, too, and never an error."""

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
        """Look again, unless that was done a moment ago."""
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
            # Last, as it reads the whole of an index and so takes longest.
            values.statuses = await states.statuses(CONVERSATION)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        values = self._values
        up = float(values.depth is not None)
        yield GaugeMetricFamily("mh_database_up", "1 when the database answered the last scrape, else 0.", up)
        yield _gauge("mh_outbox_depth", "Jobs not yet taken to the queue.", values.depth)
        yield _gauge("mh_outbox_oldest_seconds", "Age of the oldest of these: the relay's lag.", values.relay_lag)
        yield _gauge(
            "mh_index_oldest_pending_seconds",
            "How long the unit that waits longest has waited for the index: the index's lag.",
            values.index_lag,
        )
        states = GaugeMetricFamily(
            "mh_index_conversations", "Conversations by what is known of the index.", labels=["status"]
        )
        for status, number in values.statuses.items():
            states.add_metric([status.value], number)
        yield states


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """Return a metric; without a value it is shown by name only."""
    family = GaugeMetricFamily(name, text, labels=())
    if value is not None:
        family.add_metric([], value)
    return family


def _age(moment: datetime | None) -> float:
    """Return how long ago that was, in seconds; 0 for nothing, and for clocks that differ a little."""
    return 0.0 if moment is None else max(0.0, (datetime.now(UTC) - moment).total_seconds())
