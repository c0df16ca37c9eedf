"""The application: `conversations_api.main:create_app()`. `python -m conversations_api` serves it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from mh_common.logging import configure_logging
from mh_common.metrics import Collector
from mh_common.rate_limits import RateLimits, SharedCounters, redis_for_limits
from mh_common.settings import is_loopback, load_settings
from mh_common.units import CONVERSATION
from mh_common.web.access import ACCESS, Access
from mh_common.web.application import make_application, run_in_background
from mh_common.web.health import Check
from redis.asyncio import Redis

from conversations_api.api_keys.routes import router as api_keys
from conversations_api.attempts import SignInAttempts
from conversations_api.authentication import TokenAuthenticator
from conversations_api.conversations.completion import complete_regularly
from conversations_api.conversations.duplicates import LOCK_LIFETIME, ImportLockRepository
from conversations_api.conversations.index_routes import router as conversations_index
from conversations_api.conversations.review_routes import router as reviews
from conversations_api.conversations.routes import router as conversations
from conversations_api.conversations.unit_source import ConversationUnitSource
from conversations_api.conversations.versions import VersionRepository
from conversations_api.credentials.last_uses import LastUses
from conversations_api.credentials.repository import CredentialReader
from conversations_api.database import (
    check_database,
    make_engine,
    make_read_engine,
    make_session_factory,
    ping,
)
from conversations_api.database_errors import DatabaseNotReadyError
from conversations_api.dependencies import STATE, AppState, ProviderSignIn, state_of
from conversations_api.experiments.routes import router as experiments
from conversations_api.gauges import Gauges
from conversations_api.history.repository import HistoryRepository
from conversations_api.history.routes import router as history
from conversations_api.idempotency.repository import KEY_LIFETIME, IdempotencyRepository
from conversations_api.identities.routes import router as identities
from conversations_api.index_runs.routes import router as index_runs
from conversations_api.internal.history import router as internal_history
from conversations_api.internal.index import router as internal_index
from conversations_api.models import Base
from conversations_api.oidc.repository import OidcSignInRepository
from conversations_api.oidc.routes import router as oidc
from conversations_api.oidc.service import MAX_PENDING, SignInRules
from conversations_api.outbox.publisher import CeleryPublisher
from conversations_api.outbox.relay import Relay
from conversations_api.purge import purge_regularly
from conversations_api.sessions.repository import UserSessionRepository
from conversations_api.sessions.routes import router as sessions
from conversations_api.settings import Settings
from conversations_api.setup.routes import router as setup
from conversations_api.teams.routes import router as teams
from conversations_api.units.sources import UnitSources
from conversations_api.users.routes import router as users

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
    for router in (conversations, reviews, conversations_index, index_runs, experiments, history):
        app.include_router(router)
    for router in (users, sessions, api_keys, setup, identities, oidc, teams):
        app.include_router(router)
    for router in (internal_index, internal_history):
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

    sessions, reads = make_session_factory(engine), make_session_factory(read_engine)
    uses = LastUses()
    relay = Relay(sessions, publisher, settings.relay)
    retention = timedelta(days=settings.history.retention_days)
    for work in (
        relay.run(),
        complete_regularly(sessions),
        purge_regularly(sessions, IdempotencyRepository, KEY_LIFETIME),
        purge_regularly(sessions, HistoryRepository, retention),
        purge_regularly(sessions, ImportLockRepository, LOCK_LIFETIME),
        purge_regularly(sessions, UserSessionRepository, timedelta(0)),
        purge_regularly(sessions, OidcSignInRepository, MAX_PENDING),
        uses.write_regularly(sessions),
    ):
        await stack.enter_async_context(run_in_background(work))
    if not settings.conversations.keep_versions:
        await stack.enter_async_context(run_in_background(purge_regularly(sessions, VersionRepository, timedelta(0))))
    checks: dict[str, Check] = {"database": partial(ping, read_engine), "redis": partial(_ping_redis, redis)}
    redis_of_counters = redis_for_limits(settings.redis.url)
    stack.push_async_callback(redis_of_counters.aclose)
    counters = SharedCounters(redis_of_counters)
    state = AppState(
        write_sessions=sessions,
        read_sessions=reads,
        checks=checks,
        history_enabled=settings.history.enabled,
        gauges=Gauges(reads, tuple(unit_sources)),
        unit_sources=unit_sources,
        has_accounts=not settings.auth.is_open,
        keeps_versions=settings.conversations.keep_versions,
        attempts=SignInAttempts(counters),
        sign_in=await _sign_in(settings, stack),
    )
    limits = RateLimits(settings.rate.quotas, counters, SERVICE)
    return {STATE: state, ACCESS: _access(settings, CredentialReader(read_engine), uses, limits)}


async def _sign_in(settings: Settings, stack: AsyncExitStack) -> ProviderSignIn | None:
    """Return how people sign in with the OpenID provider of the settings; None if there is none."""
    oidc = settings.oidc
    if oidc.issuer is None or oidc.shown_name is None or settings.doors.public_url is None:
        return None
    # They take memory, which most platforms have better uses for.
    import httpx

    from conversations_api.oidc.provider import TIMEOUT, OidcProvider

    # A redirect would send the secret to another server; a proxy cannot reach a provider on this machine.
    through_proxy = not is_loopback(urlsplit(oidc.issuer).hostname or "")
    http = await stack.enter_async_context(
        httpx.AsyncClient(timeout=TIMEOUT, trust_env=through_proxy, follow_redirects=False)
    )
    provider = OidcProvider(oidc, settings.doors.public_url, http)
    return ProviderSignIn(provider, oidc.issuer, oidc.shown_name, SignInRules(oidc.role, oidc.link_by_email))


def _access(settings: Settings, credentials: CredentialReader, uses: LastUses, limits: RateLimits) -> Access:
    key = settings.mh.service_key
    authenticator = TokenAuthenticator(credentials, key.get_secret_value() if key else None, uses)
    return Access.of(settings.auth, authenticator, limits)


async def _gauges(request: Request) -> tuple[Collector, ...]:
    gauges = state_of(request).gauges
    await gauges.refresh()
    return (gauges,)


async def _ping_redis(redis: Redis) -> None:
    await redis.ping()
