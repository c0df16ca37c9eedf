"""A request id on every log line and in the response; one log line, metrics and a span per request."""

import re
import time
import uuid
from typing import Final

import structlog
from opentelemetry.trace import Span, StatusCode
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mh_common import tracing
from mh_common.web import metrics

log = structlog.get_logger(__name__)

HEADER: Final = tracing.REQUEST_ID
REQUEST_COMPLETED: Final = "request_completed"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNTRACED: Final = frozenset({"/livez", "/readyz", "/healthcheck", "/api/health", metrics.PATH})


class RequestIdMiddleware:
    """Use the caller's X-Request-ID if it is well-formed, else generate one; log requests without the query string."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(HEADER, "")
        request_id = given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id
        # Every request runs in its own context, so there is nothing to reset.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if not tracing.is_tracing() or scope["path"] in _UNTRACED:
            await self._serve(scope, receive, send, request_id, None)
            return
        with tracing.span("HTTP", "server", [headers.get(tracing.TRACEPARENT)]) as span:
            await self._serve(scope, receive, send, request_id, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str, span: Span | None) -> None:
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        started, root = time.perf_counter(), scope.get("root_path", "")
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            method, route = metrics.known_method(scope["method"]), _route(scope, root)
            metrics.observe_request(method, route, status, seconds)
            if span is not None:
                _describe(span, method, route, status)
            log.info(REQUEST_COMPLETED, method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))


def _route(scope: Scope, root: str) -> str | None:
    """Return the full template of the route that served a request, also in mounted applications.

    A mount appends its prefix to the root path, which was `root` when the request came in.
    """
    path: str | None = getattr(scope.get("route"), "path", None)
    return None if path is None else scope.get("root_path", "").removeprefix(root) + path


def _describe(span: Span, method: str, route: str | None, status: int) -> None:
    """Name a request's span by its route, not by its path, which callers control."""
    span.update_name(f"{method} {route or '(no route)'}")
    span.set_attributes({"http.request.method": method, "http.response.status_code": status})
    if route is not None:
        span.set_attribute("http.route", route)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
