"""What routes ask for: the session of the request, and the services on it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, TypeAlias, cast

from fastapi import Depends, Header, Request
from mh_common.web.health import Check

from conversations_api.conversations.service import ConversationReads, ConversationService
from conversations_api.database import ReaderFactory, Session, SessionFactory, transaction
from conversations_api.database_errors import database_errors
from conversations_api.gauges import Gauges
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
    history_enabled: bool
    gauges: Gauges


def state_of(request: Request) -> AppState:
    """Return the application's state."""
    return cast(AppState, getattr(request.state, STATE))


@asynccontextmanager
async def _unit_of_work(state: AppState) -> AsyncIterator[Session]:
    """Give one transaction; wake the relay once it is committed and has something for it."""
    with database_errors():
        async with transaction(state.sessions) as session:
            yield session
    if OUTBOX_WRITTEN in session.info:
        state.relay.wake()


async def get_session(request: Request) -> AsyncIterator[Session]:
    """Give the request its one transaction. It is committed when the route has returned, before the answer is sent."""
    async with _unit_of_work(state_of(request)) as session:
        yield session


# With the default scope, "request", the commit would follow the answer.
WriteSession = Annotated[Session, Depends(get_session, scope="function")]


Transactions: TypeAlias = Callable[[], AbstractAsyncContextManager[Session]]


async def get_transactions(request: Request) -> Transactions:
    """Return what gives a request that does too much for one transaction as many as it needs, one after the other."""
    return partial(_unit_of_work, state_of(request))


WriteTransactions = Annotated[Transactions, Depends(get_transactions)]


Changes: TypeAlias = Callable[[], AbstractAsyncContextManager[ConversationService]]


async def get_changes(request: Request) -> Changes:
    """Return what gives the one transaction that a change of conversations is; a dependency that does costs more."""
    return partial(_changes, state_of(request))


@asynccontextmanager
async def _changes(state: AppState) -> AsyncIterator[ConversationService]:
    async with _unit_of_work(state) as session:
        yield ConversationService(session)


ConversationChanges = Annotated[Changes, Depends(get_changes)]


async def get_readers(request: Request) -> ReaderFactory:
    """Return the factory of connections that only read."""
    return state_of(request).readers


async def get_reads(request: Request) -> ConversationReads:
    """Return what reads conversations. It takes its connections itself: a dependency that does costs a fourth more."""
    return state_of(request).reads


Readers = Annotated[ReaderFactory, Depends(get_readers)]
ReadService = Annotated[ConversationReads, Depends(get_reads)]

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
