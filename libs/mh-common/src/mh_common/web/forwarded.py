"""What the gateway says of the request that it passed on, in headers that it sets itself.

A request that comes without a gateway can forge them: they decide nothing but links, the name of a cookie, and whose
attempts to sign in are counted together.
"""

from fastapi import Request


def scheme_of(request: Request) -> str:
    """Return the scheme that the caller used: `https` or `http`."""
    return request.headers.get("X-Forwarded-Proto", request.url.scheme)


def address_of(request: Request) -> str | None:
    """Return the caller's address; None if it came through a socket that has none."""
    return request.headers.get("X-Forwarded-For") or (request.client.host if request.client else None)
