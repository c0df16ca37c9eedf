"""The worker's metrics endpoint: the metrics of its processes, and the queue depth, read from Redis at each scrape."""

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
"""Binding METRICS_PORT failed. The worker runs without a metrics endpoint."""

CACHE_S: Final = 2.0
"""Seconds for which a value is reused: scrapes within this time query Redis once."""


class QueueGauges(Collector):
    """Exports the queue depth. If Redis is unreachable, that is exported as a metric and raises no error."""

    def __init__(self, queue: JobQueue, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._depth: QueueDepth | None = None
        self._valid_until = float("-inf")
        self._lock = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        """See `Collector`; without querying Redis, which would open a connection before the worker forks."""
        yield from _metrics(None)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        with self._lock:
            if self._clock() >= self._valid_until:
                self._depth = self._queue.depth()
                self._valid_until = self._clock() + CACHE_S
            depth = self._depth
        yield from _metrics(depth)


def _metrics(depth: QueueDepth | None) -> Iterator[Metric]:
    yield GaugeMetricFamily("mh_redis_up", "1 when Redis answered the last scrape, else 0.", float(depth is not None))
    waiting = GaugeMetricFamily("mh_queue_waiting", "Jobs that no worker has taken yet.", labels=())
    taken = GaugeMetricFamily("mh_queue_taken", "Jobs that a worker has taken and not finished.", labels=())
    if depth is not None:
        waiting.add_metric([], depth.waiting)
        taken.add_metric([], depth.taken)
    yield waiting
    yield taken


def serve_metrics(settings: Settings) -> Callable[[], None]:
    """Serve the metrics of all the worker's processes on METRICS_PORT, if set. Return a function that stops it."""
    address, port = settings.metrics.address, settings.metrics.port
    if port is None:
        return _do_nothing
    try:
        return serve(address, port, QueueGauges(JobQueue(settings.redis)))
    except OSError as error:
        log.error(METRICS_NOT_SHOWN, address=address, port=port, error=error.strerror)
        return _do_nothing


def _do_nothing() -> None:
    pass
