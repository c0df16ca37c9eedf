"""HTTP request metrics and the /metrics route, the same in every API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.telemetry import TelemetryConfig

from mh_common.metrics import CONTENT_TYPE_LATEST, FAST_BUCKETS, Collector, Counter, Histogram, exposition
from mh_common.web.access import PUBLIC

PATH: Final = "/metrics"

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""For FastAPI(telemetry=...). FastAPI's spans contain the query string, which may be a search query, and its log
records contain error messages; ours contain neither (`mh_common.tracing`)."""

REQUESTS: Final = Counter("mh_http_requests_total", "HTTP requests served.", ("method", "route", "status"))
REQUEST_SECONDS: Final = Histogram(
    "mh_http_request_duration_seconds",
    "Time from the arrival of a request to the end of its response.",
    ("method", "route"),
    buckets=FAST_BUCKETS,
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
"""Label for methods and paths without a route, of which callers could invent any number."""


def known_method(method: str) -> str:
    """Return the method, or `other` if no route has it."""
    return method if method in _METHODS else _OTHER


def observe_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a request.

    Args:
        method: from `known_method`.
        route: the template of the route that served it; None if there was none.
    """
    REQUESTS.labels(method, route or _OTHER, status).inc()
    REQUEST_SECONDS.labels(method, route or _OTHER).observe(seconds)


Refresh = Callable[[Request], Awaitable[tuple[Collector, ...]]]


async def nothing_to_refresh(_: Request) -> tuple[Collector, ...]:
    """Return no collectors."""
    return ()


def metrics_routes(refresh: Refresh = nothing_to_refresh) -> APIRouter:
    """Return the route /metrics. `refresh` is called for each scrape and returns collectors; it must not fail."""
    router = APIRouter(dependencies=[PUBLIC])

    @router.get(PATH, include_in_schema=False)
    async def metrics(request: Request) -> Response:
        """Return the metrics of all processes of this service. Not routed by the gateway."""
        collectors = await refresh(request)
        # In a thread, because it reads the files of every process.
        content = await asyncio.to_thread(exposition, *collectors)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    return router
