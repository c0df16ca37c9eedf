"""Prometheus metrics, as every service of the platform shows them.

Where a service has several processes, PROMETHEUS_MULTIPROC_DIR names a folder in which each keeps its numbers, and any
of them shows the sum. The folder belongs to one service on one machine. Metrics must be imported from here, so that the
folder is there before prometheus_client looks for it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client when it is imported, from the process environment only."""

if _folder := os.environ.get(FOLDER_VARIABLE):
    Path(_folder).mkdir(parents=True, exist_ok=True)

from prometheus_client import (  # noqa: E402 - not before its folder
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

__all__ = [
    "CONTENT_TYPE_LATEST",
    "FAST_BUCKETS",
    "REGISTRY",
    "SLOW_BUCKETS",
    "Collector",
    "Counter",
    "GaugeMetricFamily",
    "Histogram",
    "Metric",
    "exposition",
    "forget_former_processes",
    "serve",
]

FAST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds, for requests and calls of stores."""
SLOW_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Bounds in seconds, for jobs and language models."""


def _shown(collectors: tuple[Collector, ...]) -> CollectorRegistry:
    shown = CollectorRegistry()
    if os.environ.get(FOLDER_VARIABLE):
        MultiProcessCollector(shown)  # type: ignore[no-untyped-call]  # the one signature without types
    else:
        shown.register(REGISTRY)
    for collector in collectors:
        shown.register(collector)
    return shown


def exposition(*collectors: Collector) -> bytes:
    """Return the metrics of all of the service's processes in Prometheus's text format, and what `collectors` say."""
    return generate_latest(_shown(collectors))


def serve(address: str, port: int, *collectors: Collector) -> Callable[[], None]:
    """Show the metrics at http://ADDRESS:PORT/metrics, from threads; return what ends that.

    Raises:
        OSError: the port is taken, or the address is not this machine's.
    """
    server, thread = start_http_server(port, address, _shown(collectors))
    # A process forked from here would keep the port after this one's end.
    os.register_at_fork(after_in_child=server.socket.close)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def forget_former_processes() -> None:
    """Delete what processes of a former run left in the folder. Call it in the first process, before it starts others.

    Within a run nothing is deleted: the numbers of a process that ended still belong to the sum.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        for file in Path(folder).glob("*.db"):
            if not file.stem.endswith(f"_{os.getpid()}"):
                file.unlink(missing_ok=True)
