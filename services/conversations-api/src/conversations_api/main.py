"""The application: `conversations_api.main:create_app()`. `python -m conversations_api` serves it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, Final

from fastapi import FastAPI, Request
from mh_common.logging import configure_logging
from mh_common.metrics import Collector
from mh_common.settings import load_settings
from mh_common.units import CONVERSATION
from mh_common.web.application import make_application, run_in_background
from mh_common.web.health import Check
from redis.asyncio import Redis

from conversations_api.conversations.completion import complete_regularly
from conversations_api.conversations.duplicates import LOCK_LIFETIME, ImportLockRepository
from conversations_api.conversations.index_routes import router as conversations_index
from conversations_api.conversations.routes import router as conversations
from conversations_api.conversations.unit_source import ConversationUnitSource
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
from conversations_api.internal.history import router as internal_history
from conversations_api.internal.index import router as internal_index
from conversations_api.models import Base
from conversations_api.outbox.publisher import CeleryPublisher
from conversations_api.outbox.relay import Relay
from conversations_api.purge import purge_regularly
from conversations_api.settings import Settings
from conversations_api.units.sources import UnitSources

SERVICE: Final = "conversations-api"

UNIT_SOURCES: Final[UnitSources] = {CONVERSATION: ConversationUnitSource}
"""The sources of the units to index, by kind."""

DESCRIPTION: Final = (
    "Patients' questions and their counselors' answers: add, read, change and delete them, one by one or in bulk. "
    "Every change is queued for the search index in the same transaction."
)


def create_app(settings: Settings | None = None, unit_sources: UnitSources = UNIT_SOURCES) -> FastAPI:
    """Return the application. Without `settings`, read them from the environment and configure logging."""
    if settings is None:
        settings = load_settings(Settings)
        configure_logging(settings.log, SERVICE)
    app = make_application(
        partial(_start, settings, unit_sources),
        service=SERVICE,
        otel=settings.otel,
        title="Conversations API",
        description=DESCRIPTION,
        checks=lambda request: state_of(request).checks,
        # Writes need only the database: their jobs wait in the outbox until Redis is back.
        optional=frozenset({"redis"}),
        refresh=_gauges,
        startup_errors=(DatabaseNotReadyError,),
    )
    routers = (conversations, conversations_index, index_runs, experiments, history, internal_index, internal_history)
    for router in routers:
        app.include_router(router)
    return app


async def _start(settings: Settings, unit_sources: UnitSources, stack: AsyncExitStack) -> Mapping[str, Any]:
    """Create everything that lives as long as the application, and register its clean-up on `stack`."""
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
    retention = timedelta(days=settings.history.retention_days)
    for work in (
        relay.run(),
        complete_regularly(sessions),
        purge_regularly(sessions, IdempotencyRepository, KEY_LIFETIME),
        purge_regularly(sessions, HistoryRepository, retention),
        purge_regularly(sessions, ImportLockRepository, LOCK_LIFETIME),
    ):
        await stack.enter_async_context(run_in_background(work))
    checks: dict[str, Check] = {"database": partial(ping, read_engine), "redis": partial(_ping_redis, redis)}
    reads = make_session_factory(read_engine)
    gauges = Gauges(reads, tuple(unit_sources))
    return {STATE: AppState(sessions, reads, checks, settings.history.enabled, gauges, unit_sources)}


async def _gauges(request: Request) -> tuple[Collector, ...]:
    gauges = state_of(request).gauges
    await gauges.refresh()
    return (gauges,)


async def _ping_redis(redis: Redis) -> None:
    await redis.ping()
