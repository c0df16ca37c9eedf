"""Check the API key that other programs send."""

import secrets

from fastapi import Request
from pydantic import SecretStr

_SCHEME = "bearer "


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of the Authorization header; None if the header is missing or has another scheme."""
    header = request.headers.get("Authorization")
    if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header[len(_SCHEME) :].strip() or None


def is_authorized(key: SecretStr | None, token: str | None) -> bool:
    """Return whether this token is the key. Without a configured key everybody is authorized."""
    if key is None:
        return True
    return token is not None and secrets.compare_digest(token.encode(), key.get_secret_value().encode())
