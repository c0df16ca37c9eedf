"""Where a reader finds a conversation that is cited."""

from starlette.requests import HTTPConnection


def conversation_link(base: str, key: int) -> str:
    """Return the address of a conversation, seen from `base`."""
    return f"{base}/api/v1/conversations/{key}"


def base_url(connection: HTTPConnection, public_url: str | None) -> str:
    """Return the platform's address as its users know it, without a slash at the end.

    The gateway passes on the name that the caller used (Host) and how (X-Forwarded-Proto).
    """
    if public_url:
        return public_url.rstrip("/")
    scheme = connection.headers.get("X-Forwarded-Proto", connection.url.scheme)
    scheme = scheme if scheme in ("http", "https") else "http"
    return f"{scheme}://{connection.url.netloc}"
