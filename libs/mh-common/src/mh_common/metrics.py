"""Prometheus metrics, for every service of the platform.

For a service with several processes, PROMETHEUS_MULTIPROC_DIR names a folder where each process writes its values;
every process exposes the sum. One service on one machine owns the folder. Import metrics from here, so that the folder
exists before prometheus_client looks for it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus_client when it is imported, from the process environment only."""

if _folder := os.environ.get(FOLDER_VARIABLE):
    Path(_folder).mkdir(parents=True, exist_ok=True)

from prometheus_client import (  # noqa: E402 - after its folder was created
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
    "remove_stale_metric_files",
    "serve",
]

FAST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds, for requests and calls of stores."""
SLOW_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Bounds in seconds, for jobs and language models."""


def _registry(collectors: tuple[Collector, ...]) -> CollectorRegistry:
    registry = CollectorRegistry()
    if os.environ.get(FOLDER_VARIABLE):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the one signature without types
    else:
        registry.register(REGISTRY)
    for collector in collectors:
        registry.register(collector)
    return registry


def exposition(*collectors: Collector) -> bytes:
    """Return the metrics of all the service's processes and of `collectors`, in Prometheus's text format."""
    return generate_latest(_registry(collectors))


def serve(address: str, port: int, *collectors: Collector) -> Callable[[], None]:
    """Serve the metrics at http://ADDRESS:PORT/metrics from background threads; return a function that stops it.

    Raises:
        OSError: the port is in use, or the address is not local.
    """
    server, thread = start_http_server(port, address, _registry(collectors))
    # Otherwise a forked process would keep the port open after this one exits.
    os.register_at_fork(after_in_child=server.socket.close)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def remove_stale_metric_files() -> None:
    """Delete the metric files of an earlier run. Call this in the first process, before it starts others.

    Files of the current run stay: the values of a process that has exited are still part of the sum.
    """
    if folder := os.environ.get(FOLDER_VARIABLE):
        for file in Path(folder).glob("*.db"):
            if not file.stem.endswith(f"_{os.getpid()}"):
                file.unlink(missing_ok=True)
