"""The common parts of all APIs: problem documents, request ids, health, metrics, startup and shutdown."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mh_common.settings import OtelSettings
from mh_common.tracing import start_tracing
from mh_common.web.access import declared_routes
from mh_common.web.health import Check, health_routes
from mh_common.web.metrics import NO_TELEMETRY, Refresh, metrics_routes, nothing_to_refresh
from mh_common.web.problems import STATUS_OF, Statuses, install_problems
from mh_common.web.request_ids import RequestIdMiddleware

log = structlog.get_logger(__name__)

BACKGROUND_TASK_FAILED: Final = "background_task_failed"

Start = Callable[[AsyncExitStack], Awaitable[Mapping[str, Any]]]
"""Creates the application's resources, pushes each clean-up on the stack, and returns the lifespan state.

The state has the application's `Access` at the key `ACCESS`.
"""


def make_application(
    start: Start,
    *,
    service: str,
    otel: OtelSettings,
    title: str,
    description: str,
    checks: Callable[[Request], Mapping[str, Check]],
    optional: frozenset[str] = frozenset(),
    refresh: Refresh = nothing_to_refresh,
    statuses: Statuses = STATUS_OF,
    startup_errors: tuple[type[Exception], ...] = (),
    middleware: Sequence[Middleware] = (),
) -> FastAPI:
    """Return an application that has only the health and metrics routes.

    It does not start if it has a route that does not declare who may use it: see `mh_common.web.access`.

    Args:
        start: runs at startup; its stack is unwound at shutdown.
        service: name of the package, whose version the application reports, and of the service in traces.
        otel: where to send traces.
        title: of the OpenAPI document.
        description: of the OpenAPI document.
        checks: returns the readiness checks by name of the dependency.
        optional: dependencies that do not affect readiness.
        refresh: see `metrics_routes`.
        statuses: HTTP statuses of the service's own domain errors.
        startup_errors: errors of `start` that are reported by their message alone, without a traceback.
        middleware: the service's own, outermost first. The request id middleware wraps it.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        declared_routes(app)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, start_tracing(otel, service))
            yield await start(stack)

    app = FastAPI(
        title=title,
        description=description,
        version=version(service),
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
        middleware=[
            Middleware(OneLineStartupErrors, startup_errors),
            Middleware(RequestIdMiddleware),
            *middleware,
        ],
    )
    install_problems(app, statuses)
    app.include_router(health_routes(checks, optional))
    app.include_router(metrics_routes(refresh))
    return app


CANCEL_INTERVAL_S: Final = 1.0
"""Seconds until work in the background that did not end is cancelled again."""


@asynccontextmanager
async def run_in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` in a background task while the block runs, then cancel it. A failure before that is logged."""
    task = asyncio.create_task(work)
    task.add_done_callback(_report_failure)
    try:
        yield
    finally:
        # Again, until it ends: a database driver may turn the cancellation into an error, which the work takes for a
        # failure of what it was doing, and goes on.
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_INTERVAL_S)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error(BACKGROUND_TASK_FAILED, exc_info=error)


class OneLineStartupErrors:
    """Reports expected startup errors in one line, where Starlette would pass a traceback to the server.

    Args:
        app: the application.
        kinds: the errors to report by their message alone.
    """

    def __init__(self, app: ASGIApp, kinds: tuple[type[Exception], ...]) -> None:
        self.app = app
        self.kinds = kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; anything but the lifespan passes through."""

        async def send_one_line(message: Message) -> None:
            cause = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(cause, self.kinds):
                message = {**message, "message": str(cause)}
            await send(message)

        await self.app(scope, receive, send_one_line if scope["type"] == "lifespan" else send)
