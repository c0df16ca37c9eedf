"""The key that other programs send."""

import secrets

from fastapi import Request
from pydantic import SecretStr

_SCHEME = "bearer "


def bearer_token(request: Request) -> str | None:
    """Return the token of the Authorization header; None when it has another form or is not there."""
    header = request.headers.get("Authorization")
    if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header[len(_SCHEME) :].strip() or None


def is_admitted(key: SecretStr | None, token: str | None) -> bool:
    """Whether this token is the key. Where no key is set every caller is let in."""
    if key is None:
        return True
    return token is not None and secrets.compare_digest(token.encode(), key.get_secret_value().encode())
