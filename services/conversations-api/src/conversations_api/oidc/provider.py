"""An OpenID provider: sends browsers there, and redeems what they bring back.

Only loaded where a provider is set up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import httpx
import structlog
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from mh_common.errors import UnavailableError
from pydantic import BaseModel, Field, ValidationError

from conversations_api.oidc.id_tokens import IdTokenVerifier, UnknownKeyError
from conversations_api.oidc.identity import ProviderIdentity, SignInProof, SignInRefusedError
from conversations_api.settings import OidcSettings, is_private_url

log = structlog.get_logger(__name__)

T = TypeVar("T")

OIDC_PROVIDER_FAILED: Final = "oidc_provider_failed"

CALLBACK: Final = "/api/v1/oidc/callback"
LIFETIME: Final = 3600.0
"""Seconds for which what the provider says of itself, and its keys, are kept."""
TIMEOUT: Final = 10.0
"""Seconds that a call may take."""

_AWAY: Final = (
    "The sign-in service cannot be reached, or does not answer as it should. Try again, or sign in with a password."
)


class _Metadata(BaseModel):
    """What a provider says of itself (OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(BaseModel):
    """What a code is redeemed for."""

    id_token: str = Field(repr=False)
    access_token: str | None = Field(default=None, repr=False)


class _Kept:
    """A value that is fetched when it is needed, and kept for an hour."""

    def __init__(self, fetch: Callable[[], Awaitable[Any]]) -> None:
        self._fetch = fetch
        self._value: Any = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def get(self, not_this: Any = None) -> Any:
        """Return the value; fetch it first if there is none, or if it is `not_this`."""
        async with self._lock:
            if self._value is None or self._value is not_this or time.monotonic() >= self._until:
                self._value = await self._fetch()
                self._until = time.monotonic() + LIFETIME
            return self._value


class OidcProvider:
    """See `IdentityProvider`.

    Args:
        settings: with an issuer and a client id.
        public_url: the platform as its users reach it.
        http: for calls of the provider, without redirects.
    """

    def __init__(self, settings: OidcSettings, public_url: str, http: httpx.AsyncClient) -> None:
        if settings.issuer is None or settings.client_id is None:
            raise ValueError("no provider is set up")
        self._issuer = settings.issuer
        self._client_id = settings.client_id
        self._secret = settings.client_secret.get_secret_value() if settings.client_secret else None
        self._scopes = settings.scopes
        self._redirect_uri = f"{public_url.rstrip('/')}{CALLBACK}"
        self._verifier = IdTokenVerifier(self._issuer, self._client_id, settings.allowed_algorithms)
        self._http = http
        self._metadata = _Kept(self._fetch_metadata)
        self._keys = _Kept(self._fetch_keys)

    async def sign_in_url(self, proof: SignInProof) -> str:
        """Return where to send the browser. Raises UnavailableError."""
        metadata: _Metadata = await self._metadata.get()
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            self._client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope=self._scopes,
            state=proof.state,
            nonce=proof.nonce,
            code_challenge=create_s256_code_challenge(proof.verifier),
            code_challenge_method="S256",
        )
        return url

    async def identify(self, code: str, proof: SignInProof, issuer: str | None) -> ProviderIdentity:
        """Return who came back with this code.

        Raises:
            SignInRefusedError: see `IdentityProvider.identify`.
            UnavailableError: the provider does not answer as it should.
        """
        metadata: _Metadata = await self._metadata.get()
        missing = issuer is None and metadata.authorization_response_iss_parameter_supported
        if missing or issuer not in (None, self._issuer):
            message = "Another sign-in service sent you back than the one of this platform. Start again."
            raise SignInRefusedError(message, "another issuer")
        tokens = await self._redeem(metadata, code, proof)
        keys: KeySet = await self._keys.get()
        try:
            return self._verified(tokens, keys, proof)
        except UnknownKeyError:
            # It may have a new one.
            keys = await self._keys.get(not_this=keys)
        try:
            return self._verified(tokens, keys, proof)
        except UnknownKeyError:
            raise SignInRefusedError(_AWAY, "id_token: unknown key") from None

    def _verified(self, tokens: _Tokens, keys: KeySet, proof: SignInProof) -> ProviderIdentity:
        now = int(time.time())
        return self._verifier.verify(
            tokens.id_token, keys, nonce=proof.nonce, access_token=tokens.access_token, now=now
        )

    async def _redeem(self, metadata: _Metadata, code: str, proof: SignInProof) -> _Tokens:
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=self._redirect_uri, code_verifier=proof.verifier
        )
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        client = ClientAuth(self._client_id, self._secret, self._method(metadata))
        url, headers, body = client.prepare("POST", metadata.token_endpoint, headers, body)
        response = await self._call("token", self._http.post(url, content=body, headers=headers))
        if response.status_code == 400 and _error_of(response) == "invalid_grant":
            message = "The sign-in service does not know this sign-in any more. Start again."
            raise SignInRefusedError(message, "invalid_grant")
        return self._parsed("token", response, _Tokens.model_validate_json)

    def _method(self, metadata: _Metadata) -> str:
        """Return how the platform proves who it is: best in the body, where servers agree how a secret is encoded."""
        if self._secret is None:
            return "none"
        in_body = "client_secret_post" in metadata.token_endpoint_auth_methods_supported
        return "client_secret_post" if in_body else "client_secret_basic"

    async def _fetch_metadata(self) -> _Metadata:
        url = f"{self._issuer.removesuffix('/')}/.well-known/openid-configuration"
        response = await self._call("metadata", self._http.get(url))
        metadata = self._parsed("metadata", response, _Metadata.model_validate_json)
        if metadata.issuer != self._issuer:
            # Another's: its tokens would be refused, and it may have been put there to get the secret.
            raise _failure("metadata", "of another issuer than OIDC_ISSUER")
        if not all(map(is_private_url, (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri))):
            raise _failure("metadata", "an address without HTTPS")
        return metadata

    async def _fetch_keys(self) -> KeySet:
        metadata: _Metadata = await self._metadata.get()
        response = await self._call("keys", self._http.get(metadata.jwks_uri))
        return self._parsed("keys", response, lambda _: KeySet.import_key_set(response.json()))

    async def _call(self, what: str, call: Awaitable[httpx.Response]) -> httpx.Response:
        try:
            return await call
        except httpx.HTTPError as error:
            raise _failure(what, type(error).__name__) from None

    def _parsed(self, what: str, response: httpx.Response, parse: Callable[[bytes], T]) -> T:
        if response.status_code != 200:
            raise _failure(what, f"status {response.status_code} {_error_of(response)}".strip())
        try:
            return parse(response.content)
        except (ValidationError, JoseError, ValueError, KeyError, TypeError) as error:
            raise _failure(what, type(error).__name__) from None


def _error_of(response: httpx.Response) -> str:
    """Return the code of an OAuth error, which is a plain word; empty if there is none."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return error if isinstance(error, str) and error.replace("_", "").isalpha() and len(error) <= 64 else ""


def _failure(what: str, error: str) -> UnavailableError:
    log.warning(OIDC_PROVIDER_FAILED, of=what, error=error)
    return UnavailableError(_AWAY, retry_after=5)
