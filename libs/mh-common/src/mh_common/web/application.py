"""What the applications of all APIs have alike: problems, request ids, health, metrics, and how they start and end."""

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
from mh_common.web.health import Check, health_routes
from mh_common.web.metrics import NO_TELEMETRY, Refresh, metrics_routes, nothing_to_refresh
from mh_common.web.problems import STATUS_OF, Statuses, install_problems
from mh_common.web.request_ids import RequestIdMiddleware

log = structlog.get_logger(__name__)

BACKGROUND_TASK_FAILED: Final = "background_task_failed"

Start = Callable[[AsyncExitStack], Awaitable[Mapping[str, Any]]]
"""Makes what lives as long as the application, with each clean-up on the stack, and returns it as lifespan state."""


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
    told_in_one_line: tuple[type[Exception], ...] = (),
    middleware: Sequence[Middleware] = (),
) -> FastAPI:
    """Return an application without routes but for health and metrics.

    Args:
        start: runs when the application starts; its stack is unwound when it ends.
        service: name of the package, whose version the application shows, and of the service in traces.
        otel: where traces go.
        title: of the OpenAPI document.
        description: of the OpenAPI document.
        checks: gives the readiness checks by name of the dependency.
        optional: the dependencies without which the service stays ready.
        refresh: see `metrics_routes`.
        statuses: those of the service's own domain errors.
        told_in_one_line: errors of `start` whose message tells an operator all: no trace is shown.
        middleware: the service's own, the outermost first. That of the request ids is around them.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
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
            Middleware(OneLineStartupErrors, told_in_one_line),
            Middleware(RequestIdMiddleware),
            *middleware,
        ],
    )
    install_problems(app, statuses)
    app.include_router(health_routes(checks, optional))
    app.include_router(metrics_routes(refresh))
    return app


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the block; cancel it when the block ends. If it fails before, that is logged."""
    task = asyncio.create_task(work)
    task.add_done_callback(_report_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error(BACKGROUND_TASK_FAILED, exc_info=error)


class OneLineStartupErrors:
    """Says in one line why the application cannot start, where Starlette would hand the server a whole trace.

    Args:
        app: the application.
        kinds: the errors whose message says it all.
    """

    def __init__(self, app: ASGIApp, kinds: tuple[type[Exception], ...]) -> None:
        self.app = app
        self.kinds = kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; only the lifespan's is looked at."""

        async def send_one_line(message: Message) -> None:
            cause = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(cause, self.kinds):
                message = {**message, "message": str(cause)}
            await send(message)

        await self.app(scope, receive, send_one_line if scope["type"] == "lifespan" else send)
