"""What the worker shows: the metrics of its processes, and the depth of the queue, looked up when somebody scrapes."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from mh_common.metrics import Collector, GaugeMetricFamily, Metric, serve

from indexer_worker.liveness.queue_depth import JobQueue, QueueDepth
from indexer_worker.settings import Settings

log = structlog.get_logger(__name__)

METRICS_NOT_SHOWN: Final = "metrics_not_shown"
"""METRICS_PORT cannot be listened on. The worker does its work all the same."""

KEPT_S: Final = 2.0
"""Any number of scrapes within this time cost one look."""


class QueueGauges(Collector):
    """Shows what Redis says. That it is away is a figure, too, and never an error."""

    def __init__(self, queue: JobQueue, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._depth: QueueDepth | None = None
        self._valid_until = float("-inf")
        self._looking = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        """See `Collector`; without a look, which would make a connection before the worker forks."""
        yield from _metrics(None)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        with self._looking:
            if self._clock() >= self._valid_until:
                self._depth = self._queue.depth()
                self._valid_until = self._clock() + KEPT_S
            depth = self._depth
        yield from _metrics(depth)


def _metrics(depth: QueueDepth | None) -> Iterator[Metric]:
    yield GaugeMetricFamily("mh_redis_up", "1 when Redis answered the last scrape, else 0.", float(depth is not None))
    waiting = GaugeMetricFamily("mh_queue_waiting", "Jobs that no worker has taken yet.", labels=())
    taken = GaugeMetricFamily("mh_queue_taken", "Jobs that are with a worker and not done.", labels=())
    if depth is not None:
        waiting.add_metric([], depth.waiting)
        taken.add_metric([], depth.taken)
    yield waiting
    yield taken


def show_metrics(settings: Settings) -> Callable[[], None]:
    """Show the metrics of all of the worker's processes where METRICS_PORT says so; return what ends that."""
    address, port = settings.metrics.address, settings.metrics.port
    if port is None:
        return _nothing
    try:
        return serve(address, port, QueueGauges(JobQueue(settings.redis)))
    except OSError as error:
        log.error(METRICS_NOT_SHOWN, address=address, port=port, error=error.strerror)
        return _nothing


def _nothing() -> None:
    pass
