"""FastAPI dependencies: the application's state, and the request's session."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from mh_common.auth.outside_users import outside_id
from mh_common.errors import FeatureDisabledError
from mh_common.web.access import CurrentPrincipal
from mh_common.web.health import Check
from mh_common.web.outside_users import NamedUser

from conversations_api.attempts import SignInAttempts
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.gauges import Gauges
from conversations_api.oidc.identity import IdentityProvider
from conversations_api.oidc.service import SignInRules
from conversations_api.units.sources import UnitSources

STATE: Final = "conversations_api"
"""Key of the application's state in the lifespan state; unique, as several applications may run in one process."""


@dataclass(frozen=True)
class ProviderSignIn:
    """Signing in with an OpenID provider.

    Attributes:
        provider: the provider.
        issuer: what it calls itself.
        name: what people know it by.
        rules: who gets an account by signing in.
    """

    provider: IdentityProvider
    issuer: str
    name: str
    rules: SignInRules


@dataclass(frozen=True)
class AppState:
    """Objects that live as long as the application.

    `has_accounts` is whether there are accounts (AUTH_MODE=required); `sign_in`, how people sign in besides
    passwords; `keeps_versions`, whether a change of a conversation leaves an earlier version.
    """

    write_sessions: SessionFactory
    read_sessions: SessionFactory
    checks: Mapping[str, Check]
    history_enabled: bool
    gauges: Gauges
    unit_sources: UnitSources
    has_accounts: bool
    keeps_versions: bool
    attempts: SignInAttempts
    sign_in: ProviderSignIn | None


def state_of(request: Request) -> AppState:
    """Return the application's state."""
    return cast(AppState, getattr(request.state, STATE))


async def _write_session(request: Request) -> AsyncIterator[AsyncSession]:
    with database_errors():
        # Not an explicit commit: only `begin` also rolls back after a failed commit.
        async with state_of(request).write_sessions.begin() as session:
            yield session


async def _read_session(request: Request) -> AsyncIterator[AsyncSession]:
    with database_errors():
        session = state_of(request).read_sessions()
        try:
            yield session
        finally:
            # `async with` would close it in a task of its own, to survive cancellation; closing sends nothing here.
            await session.close()


async def _write_sessions(request: Request) -> SessionFactory:
    return state_of(request).write_sessions


async def _read_sessions(request: Request) -> SessionFactory:
    return state_of(request).read_sessions


async def _unit_sources(request: Request) -> UnitSources:
    return state_of(request).unit_sources


async def _attempts(request: Request) -> SignInAttempts:
    return state_of(request).attempts


async def _optional_sign_in(request: Request) -> ProviderSignIn | None:
    return state_of(request).sign_in


async def _sign_in(request: Request) -> ProviderSignIn:
    sign_in = state_of(request).sign_in
    if sign_in is None:
        raise FeatureDisabledError("Nobody can sign in with an OpenID provider here (OIDC_ISSUER is not set).")
    return sign_in


async def _has_accounts(request: Request) -> None:
    if not state_of(request).has_accounts:
        raise FeatureDisabledError("There are no accounts, sessions and API keys here (AUTH_MODE=open).")


async def _acts_for(principal: CurrentPrincipal, named: NamedUser = None) -> str | None:
    return None if principal.user_id is None else outside_id(principal, named)


WriteSession = Annotated[AsyncSession, Depends(_write_session, scope="function")]
"""One transaction. It is committed after the route returns and before the response is sent.

With FastAPI's default scope, "request", it would be committed after the response.
"""

ReadSession = Annotated[AsyncSession, Depends(_read_session, scope="function")]
"""A session for reads in autocommit mode, on connections that writers do not use."""

WriteSessions = Annotated[SessionFactory, Depends(_write_sessions)]
"""For work that needs several transactions, one after another."""

ReadSessions = Annotated[SessionFactory, Depends(_read_sessions)]
"""For streams, which continue after the route has returned and its session is closed."""

Sources = Annotated[UnitSources, Depends(_unit_sources)]
"""The sources of units, by kind."""

Attempts = Annotated[SignInAttempts, Depends(_attempts)]
"""Limits attempts to guess a password."""

ActsFor = Annotated[str | None, Depends(_acts_for)]
"""The id of the person without an account for whom an account asks; None: for itself, or there are no accounts."""

OptionalSignIn = Annotated[ProviderSignIn | None, Depends(_optional_sign_in)]
"""The OpenID provider, or None."""

SignIn = Annotated[ProviderSignIn, Depends(_sign_in)]
"""The OpenID provider of a route that exists only where there is one."""

HAS_ACCOUNTS: Final = Depends(_has_accounts)
"""Declaration of a route that exists only where there are accounts."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text chosen by the client, unique for each new request. For 24 hours, repeating the request "
        "with the same key returns the first response without processing it again.",
    ),
]
