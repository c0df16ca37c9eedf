"""Routes of signing in with an OpenID provider. Browsers open them; programs have keys."""

from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from mh_common.errors import DomainError
from mh_common.models import SignInProvider
from mh_common.web.access import PUBLIC
from mh_common.web.forwarded import address_of

from conversations_api.dependencies import HAS_ACCOUNTS, Attempts, OptionalSignIn, SignIn, WriteSessions
from conversations_api.oidc import documentation
from conversations_api.oidc.identity import SignInRefusedError
from conversations_api.oidc.pages import HEADERS, refusal
from conversations_api.oidc.service import MAX_PENDING, ComeBack, OidcSignInService
from conversations_api.sessions.cookies import is_https, set_session_cookie
from conversations_api.sessions.service import Browser

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1/oidc", tags=["accounts"], dependencies=[PUBLIC, HAS_ACCOUNTS])

SIGN_IN_REFUSED: Final = "oidc_sign_in_refused"
SECURE_COOKIE: Final = "__Host-mh_oidc"
LOOPBACK_COOKIE: Final = "mh_oidc"

Text = Annotated[str | None, Query(max_length=4096)]


@router.get("", responses=documentation.PROVIDER)
async def provider(sign_in: OptionalSignIn) -> SignInProvider:
    """Return the provider that people can sign in with, so that a page can offer it."""
    return SignInProvider(name=sign_in.name if sign_in else None)


@router.get("/start", status_code=303, response_class=Response, responses=documentation.STARTED)
async def start(
    request: Request,
    sign_in: SignIn,
    sessions: WriteSessions,
    attempts: Attempts,
    return_to: Annotated[str, Query(max_length=500, description="Path to open after signing in.")] = "/",
) -> Response:
    """Send the browser to the provider. Each visit counts as an attempt of its address to sign in."""
    try:
        secure = is_https(request)
        await attempts.count(None, address_of(request))
        begun = await OidcSignInService(sessions, sign_in.provider, sign_in.rules).begin(return_to)
    except DomainError as error:
        return refusal(request, error)
    response = RedirectResponse(begun.url, 303, HEADERS)
    age = int(MAX_PENDING.total_seconds())
    # Lax: the provider's page sends the browser back.
    response.set_cookie(_name(secure), begun.secret, age, path="/", secure=secure, httponly=True, samesite="lax")
    return response


@router.get("/callback", status_code=303, response_class=Response, responses=documentation.FINISHED)
async def callback(
    request: Request,
    sign_in: SignIn,
    sessions: WriteSessions,
    attempts: Attempts,
    state: Text = None,
    code: Text = None,
    error: Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_.-]+$")] = None,
    iss: Text = None,
) -> Response:
    """Sign in whom the provider sends back, with a cookie. Each visit counts as an attempt of its address."""
    address = address_of(request)
    try:
        secure = is_https(request)
        await attempts.count(None, address)
        service = OidcSignInService(sessions, sign_in.provider, sign_in.rules)
        browser = Browser(address, request.headers.get("User-Agent"))
        come_back = ComeBack(state, code, error, iss)
        signed_in = await service.finish(come_back, request.cookies.get(_name(secure)), browser)
    except DomainError as refused:
        if isinstance(refused, SignInRefusedError):
            log.info(SIGN_IN_REFUSED, reason=refused.reason)
        return refusal(request, refused)
    response = RedirectResponse(signed_in.return_to, 303, HEADERS)
    response.delete_cookie(_name(secure), path="/", secure=secure, httponly=True, samesite="lax")
    set_session_cookie(request, response, signed_in.token)
    return response


def _name(secure: bool) -> str:
    return SECURE_COOKIE if secure else LOOPBACK_COOKIE
