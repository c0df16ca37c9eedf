"""Verifies ID tokens."""

from typing import Any, Final

from authlib.oidc.core.claims import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from mh_common.models.identities import Subject
from pydantic import TypeAdapter, ValidationError

from conversations_api.oidc.identity import ProviderIdentity, SignInRefusedError

LEEWAY: Final = 60
"""Seconds by which the provider's clock may be wrong."""

_NOT_VALID: Final = (
    "What the sign-in service says of you is not valid here, so you were not signed in. Tell an administrator."
)
_SUBJECT: Final[TypeAdapter[str]] = TypeAdapter(Subject)


class UnknownKeyError(Exception):
    """The token is signed by a key that is not among those known of the provider."""


class IdTokenVerifier:
    """Verifies the ID tokens that a provider makes for this platform.

    Args:
        issuer: the provider.
        client_id: what it calls the platform.
        algorithms: accepted signatures; what the token itself says is compared with them, and never decides.
    """

    def __init__(self, issuer: str, client_id: str, algorithms: list[str]) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._algorithms = algorithms

    def verify(
        self, id_token: str, keys: KeySet, *, nonce: str, access_token: str | None, now: int
    ) -> ProviderIdentity:
        """Return who the token is about.

        Args:
            id_token: the token, encoded.
            keys: the provider's keys.
            nonce: of this sign-in.
            access_token: came with it; the token may name its hash.
            now: seconds since 1970.

        Raises:
            UnknownKeyError: there is no such key; there may be by now.
            SignInRefusedError: it is forged, not for this platform, not of this sign-in, or not valid now.
        """
        try:
            decoded = jwt.decode(id_token, keys, algorithms=self._algorithms)
        except InvalidKeyIdError as error:
            raise UnknownKeyError from error
        except (JoseError, ValueError, TypeError) as error:
            raise SignInRefusedError(_NOT_VALID, f"id_token: {_name_of(error)}") from None
        options: Any = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        expected = {"nonce": nonce, "client_id": self._client_id, "access_token": access_token}
        claims = CodeIDToken(decoded.claims, decoded.header, options, expected)
        try:
            claims.validate(now, LEEWAY)
        except (JoseError, ValueError, TypeError) as error:
            raise SignInRefusedError(_NOT_VALID, f"id_token: {_name_of(error)}") from None
        return self._identity(claims)

    def _identity(self, claims: dict[str, Any]) -> ProviderIdentity:
        try:
            subject = _SUBJECT.validate_python(claims["sub"])
        except ValidationError:
            raise SignInRefusedError(_NOT_VALID, "id_token: sub") from None
        return ProviderIdentity(
            issuer=self._issuer,
            subject=subject,
            email=_text(claims.get("email")),
            # Nothing but JSON's true: some providers send a text, which would be true as well if it were "false".
            email_verified=claims.get("email_verified") is True,
            name=_text(claims.get("name")),
            username=_text(claims.get("preferred_username")),
        )


def _name_of(error: Exception) -> str:
    """Return what is wrong, without anything of the token."""
    if isinstance(error, ClaimError):
        return f"{error.error} {error.claim}"
    return error.error if isinstance(error, JoseError) else type(error).__name__


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
