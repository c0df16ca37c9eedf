"""What routes ask for: the session of the request, and the services on it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from mh_common.web.health import Check

from conversations_api.conversations.service import ConversationReads, ConversationService
from conversations_api.database import ReaderFactory, Session, SessionFactory, database_errors, transaction
from conversations_api.outbox.relay import Relay
from conversations_api.outbox.repository import OUTBOX_WRITTEN

STATE: Final = "conversations_api"
"""Name of the application's state in the lifespan state; no other application's, as several may run in one process."""


@dataclass(frozen=True)
class AppState:
    """What lives as long as the application."""

    sessions: SessionFactory
    readers: ReaderFactory
    reads: ConversationReads
    relay: Relay
    checks: Mapping[str, Check]


def state_of(request: Request) -> AppState:
    """Return the application's state."""
    return cast(AppState, getattr(request.state, STATE))


async def get_session(request: Request) -> AsyncIterator[Session]:
    """Give the request its one transaction. It is committed when the route has returned, before the answer is sent."""
    state = state_of(request)
    with database_errors():
        async with transaction(state.sessions) as session:
            yield session
    if OUTBOX_WRITTEN in session.info:
        state.relay.wake()


# With the default scope, "request", the commit would follow the answer.
WriteSession = Annotated[Session, Depends(get_session, scope="function")]


async def get_service(session: WriteSession) -> ConversationService:
    """Return the service on the request's transaction."""
    return ConversationService(session)


WriteService = Annotated[ConversationService, Depends(get_service, scope="function")]


async def get_readers(request: Request) -> ReaderFactory:
    """Return the factory of connections that only read."""
    return state_of(request).readers


async def get_reads(request: Request) -> ConversationReads:
    """Return what reads conversations. It takes its connections itself: a dependency that does costs a fourth more."""
    return state_of(request).reads


Readers = Annotated[ReaderFactory, Depends(get_readers)]
ReadService = Annotated[ConversationReads, Depends(get_reads)]
