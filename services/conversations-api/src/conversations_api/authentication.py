"""Tells who sent a token."""

import hmac
from datetime import datetime
from typing import Final

from mh_common.auth.principals import Principal
from mh_common.auth.roles import SCOPES_OF, Scope, key_scopes
from mh_common.auth.tokens import TokenKind, kind_of, token_hash
from mh_common.errors import AuthenticationError
from mh_common.models import AccountKind, AccountState, CredentialKind, PrincipalKind

from conversations_api.clock import Clock, utc_now
from conversations_api.credentials.last_uses import LastUses
from conversations_api.credentials.repository import CredentialReader, Owner
from conversations_api.database_errors import database_errors

PLATFORM: Final = Principal(
    username="platform",
    kind=PrincipalKind.SERVICE,
    scopes=frozenset({Scope.INTERNAL, Scope.CONVERSATIONS_READ}),
    credential=CredentialKind.SERVICE_KEY,
)
"""The platform's own services, which send the service key."""

_UNKNOWN: Final = "This credential is not known here. Was it copied completely?"


class TokenAuthenticator:
    """Looks tokens up in the database; see `mh_common.web.access.Authenticator`.

    Args:
        credentials: reads them.
        service_key: the key of the platform's own services; None: they have none.
        uses: notes when a credential was used.
        clock: returns the current time.
    """

    def __init__(
        self, credentials: CredentialReader, service_key: str | None, uses: LastUses, clock: Clock = utc_now
    ) -> None:
        self._credentials = credentials
        self._service_key = service_key
        self._uses = uses
        self._clock = clock

    async def authenticate(self, token: str) -> Principal:
        """Return the caller.

        Raises:
            AuthenticationError: the token is unknown, expired or revoked, or its owner is disabled.
            UnavailableError: the database is busy or unreachable.
        """
        kind = kind_of(token)
        if kind is TokenKind.SERVICE_KEY:
            return self._service(token)
        if kind not in (TokenKind.API_KEY, TokenKind.SESSION):
            raise AuthenticationError(_UNKNOWN)
        now = self._clock()
        with database_errors():
            if kind is TokenKind.API_KEY:
                return self._by_key(await self._credentials.find_key(token_hash(token)), now)
            return self._by_session(await self._credentials.find_session(token_hash(token)), now)

    def _service(self, token: str) -> Principal:
        expected = self._service_key
        if expected is None or not hmac.compare_digest(token.encode(), expected.encode()):
            raise AuthenticationError("This service key is not the platform's. Compare MH_SERVICE_KEY of the services.")
        return PLATFORM

    def _by_key(self, found: Owner | None, now: datetime) -> Principal:
        if found is None:
            raise AuthenticationError(_UNKNOWN)
        if found.revoked_at is not None:
            raise AuthenticationError("This API key was revoked. Ask for a new one.")
        if found.expires_at is not None and found.expires_at <= now:
            raise AuthenticationError("This API key has expired. Ask for a new one.")
        scopes = key_scopes(found.role, found.granted, of_service=found.kind is AccountKind.SERVICE)
        self._uses.note(CredentialKind.API_KEY, found.credential_id, now)
        return _principal(found, scopes, CredentialKind.API_KEY)

    def _by_session(self, found: Owner | None, now: datetime) -> Principal:
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            raise AuthenticationError("This session has ended. Sign in again.")
        self._uses.note(CredentialKind.SESSION, found.credential_id, now)
        return _principal(found, SCOPES_OF[found.role], CredentialKind.SESSION)


def _principal(found: Owner, scopes: frozenset[Scope], credential: CredentialKind) -> Principal:
    if found.state is AccountState.DISABLED:
        raise AuthenticationError("This account is disabled. Ask an administrator.")
    return Principal(
        username=found.username,
        kind=PrincipalKind(found.kind.value),
        scopes=scopes,
        role=found.role,
        user_id=found.user_id,
        credential=credential,
        credential_id=found.credential_id,
    )
