"""What routes ask for: the session of the request, and the services on it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from mh_common.web.health import Check

from conversations_api.conversations.service import ConversationReads, ConversationService
from conversations_api.database import Executor, ReaderFactory, Session, SessionFactory, database_errors, transaction
from conversations_api.outbox.relay import Relay
from conversations_api.outbox.repository import OUTBOX_WRITTEN

STATE: Final = "conversations_api"
"""Name of the application's state in the lifespan state; no other application's, as several may run in one process."""


@dataclass(frozen=True)
class AppState:
    """What lives as long as the application."""

    sessions: SessionFactory
    readers: ReaderFactory
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


async def get_reader(request: Request) -> AsyncIterator[Executor]:
    """Give the request a connection that only reads."""
    with database_errors():
        async with state_of(request).readers() as reader:
            yield reader


# With the default scope, "request", the commit would follow the answer.
WriteSession = Annotated[Session, Depends(get_session, scope="function")]
Reader = Annotated[Executor, Depends(get_reader, scope="function")]


async def get_service(session: WriteSession) -> ConversationService:
    """Return the service on the request's transaction."""
    return ConversationService(session)


async def get_reads(reader: Reader) -> ConversationReads:
    """Return the part of the service that only reads."""
    return ConversationReads(reader)


WriteService = Annotated[ConversationService, Depends(get_service, scope="function")]
ReadService = Annotated[ConversationReads, Depends(get_reads, scope="function")]


async def get_readers(request: Request) -> ReaderFactory:
    """Return the factory of readers, for an answer that is read from the database while it is sent."""
    return state_of(request).readers


Readers = Annotated[ReaderFactory, Depends(get_readers)]
