"""Access control of a request: who calls, and whether they may.

A route declares the scopes that it needs, `requires(Scope.SEARCH)`, that any signed-in caller may use it, `SIGNED_IN`,
or that everybody may, `PUBLIC`. It is a `GuardedRoute`, which checks the declaration before anything of the request but
its headers is read. An application with a route that declares nothing, or that is another kind of route, does not
start.
"""

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, FastAPI, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.routing import Mount

from mh_common.access_settings import AuthSettings
from mh_common.auth.principals import LOCAL, Principal
from mh_common.auth.roles import Scope
from mh_common.errors import AuthenticationError, ForbiddenOriginError, InvalidRequestError
from mh_common.settings import is_loopback, normal_host

ACCESS: Final = "access"
"""Key of `Access` in an application's lifespan state."""

SECURE_COOKIE: Final = "__Host-mh_session"
LOOPBACK_COOKIE: Final = "mh_session"
"""Without HTTPS, which only a browser on this machine may do, there is no `__Host-` prefix."""
_COOKIES: Final = (SECURE_COOKIE, LOOPBACK_COOKIE)

_INTERNAL: Final = "/internal/"
"""Beginning of the paths that no gateway forwards."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

CREDENTIAL: Final[ContextVar[str | None]] = ContextVar("credential", default=None)
"""The token of the request that is being answered, for calls of another service on the caller's behalf."""

_PRINCIPAL: Final = "mh_principal"
"""Key of the caller in a request's scope, which is the request's own; the state may be shared with others."""

NO_CREDENTIAL: Final = "Sign in, or send an API key as `Authorization: Bearer KEY`."


class Authenticator(Protocol):
    """Tells who sent a token."""

    async def authenticate(self, token: str) -> Principal:
        """Return the caller.

        Raises:
            AuthenticationError: the token is unknown, expired or revoked, or its owner is disabled.
            UnavailableError: whether it is valid cannot be found out now.
        """
        ...


class Limiter(Protocol):
    """Counts what callers do; see `mh_common.rate_limits.RateLimits`."""

    async def count(self, principal: Principal, scopes: Collection[Scope]) -> None:
        """Count a request that needs these scopes. Raises QuotaExceededError."""
        ...

    async def count_answer(self, principal: Principal, person: str | None) -> None:
        """Count an answer for a person without an account, or for the caller itself. Raises QuotaExceededError."""
        ...


@dataclass(frozen=True)
class Access:
    """Access control of an application.

    Attributes:
        authenticator: tells who sent a token; None: there are no accounts, and everybody may do everything.
        origins: origins whose pages may use the cookie, such as `https://mh.example.org`, besides the request's own.
        hosts: names of this machine, without accounts, besides localhost and its loopback addresses.
        limits: counts what callers do; None: nothing is counted.
    """

    authenticator: Authenticator | None = None
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    limits: Limiter | None = None

    @classmethod
    def of(cls, settings: AuthSettings, authenticator: Authenticator, limits: Limiter | None = None) -> "Access":
        """Return the access control that the settings ask for; without accounts it neither asks nor counts."""
        if settings.is_open:
            return cls(None, settings.allowed_origins, settings.allowed_hosts)
        return cls(authenticator, settings.allowed_origins, settings.allowed_hosts, limits)


async def current_principal(request: Request) -> Principal:
    """Return the caller of a request, who is asked for once. It reads nothing of the request but its headers.

    Raises:
        AuthenticationError, UnavailableError: as `Authenticator.authenticate`.
        InvalidRequestError: the request has two credentials.
        ForbiddenOriginError: the credential is a cookie, and another site's page made the browser send it; or there
            are no accounts, and the request is addressed to another name than this machine's.
    """
    known: Principal | None = request.scope.get(_PRINCIPAL)
    if known is None:
        known = request.scope[_PRINCIPAL] = await _identify(request)
    return known


async def _identify(request: Request) -> Principal:
    access: Access = getattr(request.state, ACCESS)
    if access.authenticator is None:
        _check_host(request, access.hosts)
        return LOCAL
    token, is_cookie = _credential(request)
    if token is None:
        raise AuthenticationError(NO_CREDENTIAL)
    if is_cookie:
        check_origin(request)
    principal = await access.authenticator.authenticate(token)
    CREDENTIAL.set(token)
    structlog.contextvars.bind_contextvars(principal=principal.username)
    return principal


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
"""The caller."""

_BEARER: Final = HTTPBearer(auto_error=False, description="An API key, or the token of a session.")


async def _require(
    scopes: SecurityScopes, principal: CurrentPrincipal, _: Annotated[Any, Depends(_BEARER)] = None
) -> None:
    principal.require(*map(Scope, scopes.scopes))


async def _everybody() -> None:
    pass


def requires(*scopes: Scope) -> Any:
    """Return the declaration of a route or router that needs these scopes: `dependencies=[requires(SEARCH)]`."""
    return Security(_require, scopes=[scope.value for scope in scopes])


SIGNED_IN: Final = requires()
"""Declaration of a route for every caller who has signed in or sent a key."""

PUBLIC: Final = Depends(_everybody)
"""Declaration of a route for everybody."""


async def allow(request: Request, *scopes: Scope) -> None:
    """Let a request through that needs these scopes, and count it.

    Raises:
        AuthenticationError, UnavailableError, InvalidRequestError, ForbiddenOriginError: as `current_principal`.
        PermissionDeniedError: the caller lacks a scope.
        QuotaExceededError: the caller has used up a quota.
    """
    principal = await current_principal(request)
    principal.require(*scopes)
    if (limits := limits_of(request)) is not None and scopes:
        await limits.count(principal, scopes)


def limits_of(request: Request) -> Limiter | None:
    """Return what counts the requests of this application; None: nothing does."""
    access: Access = getattr(request.state, ACCESS)
    return access.limits


class UndeclaredRoutesError(Exception):
    """Routes of an application do not declare who may use them, or do not check it; a fault in the code."""


@dataclass(frozen=True)
class DeclaredRoute:
    """A route, and who may use it.

    Attributes:
        path: with the prefix of mounted applications.
        methods: its HTTP methods, sorted.
        scopes: what a caller needs: `None` if everybody may use it, empty if every signed-in caller may.
    """

    path: str
    methods: tuple[str, ...]
    scopes: frozenset[Scope] | None


def declared_routes(app: FastAPI) -> list[DeclaredRoute]:
    """Return all routes of an application and of those mounted in it, without its pages of API documentation.

    Raises:
        UndeclaredRoutesError: some do not declare who may use them, or are no GuardedRoute; the message names them.
    """
    found = list(_routes(app, ""))
    if undeclared := [one for one in found if isinstance(one, str)]:
        message = (
            "These routes do not declare who may use them, or have no route_class=GuardedRoute "
            f"(mh_common.web.access): {', '.join(undeclared)}"
        )
        raise UndeclaredRoutesError(message)
    return [one for one in found if isinstance(one, DeclaredRoute)]


def _routes(app: FastAPI, prefix: str) -> Iterator[DeclaredRoute | str]:
    """Yield each route, or the path of one that declares nothing."""
    documentation = {app.openapi_url, app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url}
    for route in iter_route_contexts(app.routes):
        path = f"{prefix}{route.path}"
        if isinstance(route.original_route, Mount) and isinstance(route.original_route.app, FastAPI):
            yield from _routes(route.original_route.app, path)
        elif isinstance(route.original_route, APIRoute):
            declared = _declared(path, tuple(sorted(route.methods or ())), route.dependant)
            guarded = isinstance(route.original_route, GuardedRoute)
            yield declared if declared is not None and (guarded or declared.scopes is None) else path
        elif route.path not in documentation:
            yield path


def _declared(path: str, methods: tuple[str, ...], dependant: Dependant) -> DeclaredRoute | None:
    found = list(_dependencies(dependant))
    if required := [one for one in found if one.call is _require]:
        return DeclaredRoute(
            path, methods, frozenset(Scope(name) for one in required for name in one.own_oauth_scopes or ())
        )
    return DeclaredRoute(path, methods, None) if any(one.call is _everybody for one in found) else None


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for one in dependant.dependencies:
        yield one
        yield from _dependencies(one)


class GuardedRoute(APIRoute):
    """A route that is checked and counted before the request's body is read, which FastAPI reads before all else.

    Who may not call it learns nothing else, whatever is in the body, and need not be waited for to send it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute.get_route_handler`."""
        handle = super().get_route_handler()
        declared = _declared(self.path, (), self.dependant)
        scopes = None if declared is None else declared.scopes
        # What the platform's services call for somebody was counted where that came in.
        is_counted = not self.path.startswith(_INTERNAL)

        async def check_and_handle(request: Request) -> Response:
            if scopes is not None and is_counted:
                await allow(request, *sorted(scopes))
            elif scopes is not None:
                (await current_principal(request)).require(*sorted(scopes))
            return await handle(request)

        return check_and_handle


def forwarded_credential() -> Mapping[str, str]:
    """Return the header that passes the current request's credential on to another service; none in open mode."""
    token = CREDENTIAL.get()
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _credential(request: Request) -> tuple[str | None, bool]:
    """Return the request's token, and whether it is a cookie's."""
    bearer = bearer_token(request)
    cookies = [value for name in _COOKIES if (value := request.cookies.get(name))]
    if bearer is not None and cookies:
        raise InvalidRequestError("The request has both an Authorization header and a session cookie: send only one.")
    return (bearer, False) if bearer is not None or not cookies else (cookies[0], True)


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of the Authorization header; None if the header is missing or has another scheme."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _check_host(request: Request, hosts: frozenset[str]) -> None:
    """Refuse a request that names another host (DNS rebinding).

    A web page whose name has been given this machine's address may read what it gets from there, as from its own
    server; but its requests carry its name.
    """
    host = request.url.hostname or ""
    if not is_loopback(host) and normal_host(host) not in hosts:
        raise ForbiddenOriginError(
            "This platform has no accounts (AUTH_MODE=open), so it answers at the names of this machine only. If this "
            "is one, add it to AUTH_HOSTS."
        )


def check_origin(request: Request) -> None:
    """Refuse a request that another site's page made the browser send (CSRF). Raises ForbiddenOriginError.

    Browsers send the page's origin with each unsafe request, or at least whether the page is of the same site.
    """
    access: Access = getattr(request.state, ACCESS)
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    if origin is not None:
        own = request.url.netloc
        if origin in access.origins or urlsplit(origin).netloc == own:
            return
    elif request.headers.get("Sec-Fetch-Site") in ("same-origin", "none"):
        return
    raise ForbiddenOriginError(
        "This page may not act for you: it is of another site. An administrator can allow it in AUTH_ORIGINS."
    )
