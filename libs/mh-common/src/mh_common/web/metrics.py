"""Requests in numbers, and the route /metrics, the same in every API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.telemetry import TelemetryConfig

from mh_common.metrics import CONTENT_TYPE_LATEST, FAST_BUCKETS, Collector, Counter, Histogram, exposition

PATH: Final = "/metrics"

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""For FastAPI(telemetry=...). Its own spans hold the query string, which can be what somebody searches for, and its own
log records hold the messages of errors; ours do neither (`mh_common.tracing`)."""

REQUESTS: Final = Counter("mh_http_requests_total", "Requests answered.", ("method", "route", "status"))
REQUEST_SECONDS: Final = Histogram(
    "mh_http_request_duration_seconds",
    "Time from a request's arrival to the end of its answer.",
    ("method", "route"),
    buckets=FAST_BUCKETS,
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
"""Stands for methods and paths that no route has: a caller can make up any number of them."""


def known_method(method: str) -> str:
    """Return the method, or a word that stands for all that no route has."""
    return method if method in _METHODS else _OTHER


def observe_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a request.

    Args:
        method: from `known_method`.
        route: the template of the route that served it; None where there is none.
    """
    REQUESTS.labels(method, route or _OTHER, status).inc()
    REQUEST_SECONDS.labels(method, route or _OTHER).observe(seconds)


Refresh = Callable[[Request], Awaitable[tuple[Collector, ...]]]


async def nothing_to_refresh(_: Request) -> tuple[Collector, ...]:
    """Return no collectors."""
    return ()


def metrics_routes(refresh: Refresh = nothing_to_refresh) -> APIRouter:
    """Return the route /metrics. `refresh` gives what is looked up for each scrape; it must not fail."""
    router = APIRouter()

    @router.get(PATH, include_in_schema=False)
    async def metrics(request: Request) -> Response:
        """Show the metrics of all of the service's processes, for operators: no gateway leads here."""
        collectors = await refresh(request)
        # In a thread, as it reads the files of every process.
        content = await asyncio.to_thread(exposition, *collectors)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    return router
