"""The key that a door asks for."""

import secrets
from typing import Final

from pydantic import SecretStr

_SCHEME: Final = "bearer "


def bearer_token(header: str | None) -> str | None:
    """Return the token of an Authorization header; None when it has another form or is not there."""
    if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return header[len(_SCHEME) :].strip() or None


def opens(key: SecretStr | None, token: str | None) -> bool:
    """Whether this token is the key. Where no key is set every caller is let in."""
    if key is None:
        return True
    return token is not None and secrets.compare_digest(token.encode(), key.get_secret_value().encode())
