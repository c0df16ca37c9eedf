"""The cookie of a browser's session."""

from typing import Final

from fastapi import Request, Response
from mh_common.errors import ForbiddenOriginError
from mh_common.web.access import LOOPBACK_COOKIE, SECURE_COOKIE
from mh_common.web.forwarded import scheme_of

from conversations_api.sessions.service import MAX_AGE

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_https(request: Request) -> bool:
    """Return whether the browser came by HTTPS, so that its cookies can be for HTTPS only.

    Raises:
        ForbiddenOriginError: it came by plain HTTP from another machine.
    """
    if scheme_of(request) == "https":
        return True
    if request.url.hostname in _LOOPBACK:
        return False
    raise ForbiddenOriginError(
        "Signing in with a browser needs HTTPS, except on this machine. The gateway must set X-Forwarded-Proto."
    )


def set_session_cookie(request: Request, response: Response, token: str) -> None:
    """Let the browser send the token of a session. Raises ForbiddenOriginError as `is_https`."""
    secure = is_https(request)
    name = SECURE_COOKIE if secure else LOOPBACK_COOKIE
    age = int(MAX_AGE.total_seconds())
    response.set_cookie(name, token, max_age=age, path="/", secure=secure, httponly=True, samesite="lax")


def delete_session_cookie(response: Response) -> None:
    """Let the browser forget it."""
    response.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    response.delete_cookie(LOOPBACK_COOKIE, path="/", httponly=True, samesite="lax")
