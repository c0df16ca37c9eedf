"""The application: `conversations_api.main:create_app()`. `python -m conversations_api` serves it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi import FastAPI
from mh_common.logging import configure_logging
from mh_common.metrics import Collector
from mh_common.settings import load_settings
from mh_common.tracing import start_tracing
from mh_common.web.health import Check, health_routes
from mh_common.web.metrics import NO_TELEMETRY, metrics_routes
from mh_common.web.problems import install_problems
from mh_common.web.request_ids import RequestIdMiddleware
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conversations_api.conversations.routes import router as conversations
from conversations_api.database import (
    check_database,
    make_engine,
    make_read_engine,
    make_session_factory,
    ping,
)
from conversations_api.database_errors import DatabaseNotReadyError
from conversations_api.dependencies import STATE, AppState, state_of
from conversations_api.experiments.routes import router as experiments
from conversations_api.gauges import Gauges
from conversations_api.history.repository import HistoryRepository
from conversations_api.history.routes import router as history
from conversations_api.idempotency.repository import KEY_LIFETIME, IdempotencyRepository
from conversations_api.index_runs.routes import router as index_runs
from conversations_api.index_states.routes import router as index_states
from conversations_api.models import Base
from conversations_api.outbox.publisher import CeleryPublisher
from conversations_api.outbox.relay import Relay
from conversations_api.purge import purge_regularly
from conversations_api.settings import Settings

log = structlog.get_logger(__name__)

SERVICE: Final = "conversations-api"
BACKGROUND_TASK_FAILED: Final = "background_task_failed"

DESCRIPTION: Final = (
    "Questions of patients and the answers of their counselors: add, read, change and delete them, one by one or in "
    "bulk. Every change is queued for the search index in the same transaction."
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; without `settings` it reads them from the environment and sets up logging."""
    if settings is None:
        settings = load_settings(Settings)
        configure_logging(settings.log, SERVICE)
    app = FastAPI(
        title="Conversations API",
        description=DESCRIPTION,
        version=version(SERVICE),
        lifespan=_lifespan_of(settings),
        telemetry=NO_TELEMETRY,
    )
    install_problems(app)
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(OneLineStartupErrors)
    # Writes need the database alone: their jobs wait in the outbox until Redis is back.
    app.include_router(health_routes(lambda request: state_of(request).checks, optional=frozenset({"redis"})))
    app.include_router(metrics_routes(_gauges))
    app.include_router(conversations)
    app.include_router(index_states)
    app.include_router(index_runs)
    app.include_router(experiments)
    app.include_router(history)
    return app


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]


def _lifespan_of(settings: Settings) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, start_tracing(settings.otel, SERVICE))
            engine, read_engine = make_engine(settings.database), make_read_engine(settings.database)
            stack.push_async_callback(engine.dispose)
            stack.push_async_callback(read_engine.dispose)
            await check_database(read_engine, Base.metadata)
            redis = Redis.from_url(settings.redis.url, socket_timeout=1, socket_connect_timeout=1)
            stack.push_async_callback(redis.aclose)
            publisher = CeleryPublisher(settings.redis.url)
            stack.push_async_callback(publisher.close)

            sessions = make_session_factory(engine)
            relay = Relay(sessions, publisher, settings.relay)
            await stack.enter_async_context(_running(relay.run()))
            retention = timedelta(days=settings.history.retention_days)
            for purging in (
                purge_regularly(sessions, IdempotencyRepository, KEY_LIFETIME),
                purge_regularly(sessions, HistoryRepository, retention),
            ):
                await stack.enter_async_context(_running(purging))
            checks: dict[str, Check] = {"database": partial(ping, read_engine), "redis": partial(_ping_redis, redis)}
            reads = make_session_factory(read_engine)
            yield {STATE: AppState(sessions, reads, checks, settings.history.enabled, Gauges(reads))}

    return lifespan


async def _gauges(request: Request) -> tuple[Collector, ...]:
    gauges = state_of(request).gauges
    await gauges.refresh()
    return (gauges,)


async def _ping_redis(redis: Redis) -> None:
    await redis.ping()


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` beside the block; cancel it when the block ends."""
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
    """Says in one line why the application cannot start, where Starlette would hand the server a whole trace."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection; only the lifespan's is looked at."""

        async def send_one_line(message: Message) -> None:
            cause = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(cause, DatabaseNotReadyError):
                message = {**message, "message": str(cause)}
            await send(message)

        await self.app(scope, receive, send_one_line if scope["type"] == "lifespan" else send)
