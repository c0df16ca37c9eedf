"""What routes ask for: the application's state, and the session of the request."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from mh_common.web.health import Check

from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.gauges import Gauges
from conversations_api.units.sources import UnitSources

STATE: Final = "conversations_api"
"""Name of the application's state in the lifespan state; no other application's, as several may run in one process."""


@dataclass(frozen=True)
class AppState:
    """What lives as long as the application."""

    write_sessions: SessionFactory
    read_sessions: SessionFactory
    checks: Mapping[str, Check]
    history_enabled: bool
    gauges: Gauges
    unit_sources: UnitSources


def state_of(request: Request) -> AppState:
    """Return the application's state."""
    return cast(AppState, getattr(request.state, STATE))


async def _write_session(request: Request) -> AsyncIterator[AsyncSession]:
    with database_errors():
        # Not a commit of its own: only `begin` also rolls back what a commit that failed has left open.
        async with state_of(request).write_sessions.begin() as session:
            yield session


async def _read_session(request: Request) -> AsyncIterator[AsyncSession]:
    with database_errors():
        session = state_of(request).read_sessions()
        try:
            yield session
        finally:
            # `async with` would close it in a task of its own, lest it be cut off half way; here closing sends nothing.
            await session.close()


async def _write_sessions(request: Request) -> SessionFactory:
    return state_of(request).write_sessions


async def _read_sessions(request: Request) -> SessionFactory:
    return state_of(request).read_sessions


async def _unit_sources(request: Request) -> UnitSources:
    return state_of(request).unit_sources


WriteSession = Annotated[AsyncSession, Depends(_write_session, scope="function")]
"""One transaction. It is committed when the route has returned, before the answer is sent.

With FastAPI's default scope, "request", the commit would follow the answer.
"""

ReadSession = Annotated[AsyncSession, Depends(_read_session, scope="function")]
"""A session for statements that only read, each by itself, on connections that writers do not use."""

WriteSessions = Annotated[SessionFactory, Depends(_write_sessions)]
"""For what does too much for one transaction: as many as it needs, one after the other."""

ReadSessions = Annotated[SessionFactory, Depends(_read_sessions)]
"""For a stream, which goes on when the route has returned and its sessions are closed."""

Sources = Annotated[UnitSources, Depends(_unit_sources)]
"""The kinds of units that there are."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of the client's choice, new for each new request. For 24 hours the same request with the "
        "same key is answered again and not done again.",
    ),
]
