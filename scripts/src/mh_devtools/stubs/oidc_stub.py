"""An OpenID provider on loopback that signs whatever a test wants, besides what an honest one would sign.

with StubOidc.running() as stub:
    answer = stub.visit(location)  # as a browser would, sent there by /api/v1/oidc/start
    stub.forge = lambda claims: stub.signed({**claims, "aud": "another"})
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mh_devtools.stubs.server import serving

CLIENT_ID: Final = "mental-health"
CLIENT_SECRET: Final = "not a secret: of a stub"  # noqa: S105

Claims = dict[str, Any]


@dataclass(frozen=True)
class _Code:
    """What a code can be redeemed for, and by whom."""

    subject: str
    nonce: str | None
    challenge: str
    redirect_uri: str


class StubOidc:
    """The provider.

    Attributes:
        issuer: its URL.
        key: signs its tokens.
        published: its keys at `jwks_uri`.
        claims: of each person, besides those that every ID token has, by subject.
        forge: makes the ID token of these claims; None: an honest one.
        metadata: what it says of itself, besides what an honest one says.
        is_down: whether it answers everything with 503.
        redeemed: the forms that were sent to the token endpoint.
        fetched: the paths that were fetched, in order.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self.key = first_key()
        self.published = [self.key]
        self.claims: dict[str, Claims] = {}
        self.forge: Callable[[Claims], str] | None = None
        self.metadata: Claims = {}
        self.is_down = False
        self.redeemed: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self._codes: dict[str, _Code] = {}

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["StubOidc"]:
        """Serve a provider during the block."""
        stub = cls()
        routes = [
            Route("/.well-known/openid-configuration", stub._configuration),
            Route("/keys", stub._keys),
            Route("/token", stub._token, methods=["POST"]),
        ]
        with serving(Starlette(routes=routes)) as url:
            stub.issuer = url
            yield stub

    def visit(self, location: str, subject: str) -> dict[str, str]:
        """Sign a person in to whom `location` was opened; return the parameters of the way back.

        Raises:
            AssertionError: the request is not one that a careful provider takes: PKCE or a part of it is missing.
        """
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert location.startswith(f"{self.issuer}/authorize?")
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = _Code(subject, asked.get("nonce"), asked["code_challenge"], asked["redirect_uri"])
        # Providers add parameters of their own, as Keycloak and Entra do.
        return {"state": asked["state"], "code": code, "session_state": "x"}

    def signed(self, claims: Claims, key: Any = None, **header: Any) -> str:
        """Return a token with these claims, signed by RS256 and the provider's key unless other ones are given."""
        used = key or self.key
        whole = {"alg": "RS256", "kid": used.kid, **header}
        return jwt.encode({name: one for name, one in whole.items() if one}, claims, used, algorithms=[whole["alg"]])

    async def _configuration(self, request: Request) -> Response:
        endpoints = {
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return self._answer(request, {"issuer": self.issuer, **endpoints, **self.metadata})

    async def _keys(self, request: Request) -> Response:
        return self._answer(request, dict(KeySet(list(self.published)).as_dict()))

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.redeemed.append({**form, "authorization": request.headers.get("Authorization", "")})
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or not _fits(code, form):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims: Claims = {"iss": self.issuer, "sub": code.subject, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        claims |= {"nonce": code.nonce, **self.claims.get(code.subject, {})}
        token = self.forge(claims) if self.forge else self.signed(claims)
        return self._answer(request, {"access_token": "opaque", "token_type": "Bearer", "id_token": token})

    def _answer(self, request: Request, content: Claims) -> Response:
        self.fetched.append(request.url.path)
        return JSONResponse({} if self.is_down else content, 503 if self.is_down else 200)


@cache
def first_key() -> RSAKey:
    """Return the key that each provider begins with: making one takes longer than most tests."""
    return new_key("first")


def new_key(kid: str) -> RSAKey:
    """Return a new private key with this id."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def _fits(code: _Code, form: dict[str, str]) -> bool:
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return challenge == code.challenge and form.get("redirect_uri") == code.redirect_uri
