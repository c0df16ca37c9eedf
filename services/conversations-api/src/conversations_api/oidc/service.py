"""Signing in with an OpenID provider: sending the browser there, and what happens when it comes back."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mh_common.auth.roles import Role
from mh_common.auth.tokens import token_hash
from mh_common.errors import InvalidRequestError
from mh_common.models import FieldProblem

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession, SessionFactory
from conversations_api.database_errors import database_errors
from conversations_api.models import OidcSignInRow
from conversations_api.oidc.accounts import AccountOfIdentity
from conversations_api.oidc.identity import IdentityProvider, SignInProof, SignInRefusedError
from conversations_api.oidc.repository import OidcSignInRepository
from conversations_api.sessions.service import Browser, UserSessionService

MAX_PENDING: Final = timedelta(minutes=10)
"""A sign-in must be finished this long after it began."""
MAX_RETURN_TO: Final = 500

_OWN_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?#-]*")
_ELSEWHERE: Final = (
    "This browser did not begin this sign-in, or it began too long ago, or it is finished. Start again, at the address "
    "at which you always open the platform."
)


@dataclass(frozen=True)
class SignInBegun:
    """Where to send the browser, and the secret that it keeps meanwhile."""

    url: str
    secret: str


@dataclass(frozen=True)
class ComeBack:
    """What a browser brought back from the provider."""

    state: str | None
    code: str | None
    error: str | None
    issuer: str | None


@dataclass(frozen=True)
class SignedIn:
    """The token of a new session, and where the browser wanted to go."""

    token: str
    return_to: str


@dataclass(frozen=True)
class SignInRules:
    """Who gets an account by signing in: see OIDC_DEFAULT_ROLE and OIDC_LINK_BY_EMAIL."""

    default_role: Role | None
    link_by_email: bool


class OidcSignInService:
    """Signs people in who come back from a provider. Each step has a transaction of its own: no lock waits for calls.

    Args:
        sessions: makes sessions of the database.
        provider: the provider.
        rules: who gets an account.
        clock: returns the current time.
    """

    def __init__(
        self, sessions: SessionFactory, provider: IdentityProvider, rules: SignInRules, clock: Clock = utc_now
    ) -> None:
        self._sessions = sessions
        self._provider = provider
        self._rules = rules
        self._clock = clock

    async def begin(self, return_to: str) -> SignInBegun:
        """Return where to send the browser.

        Raises:
            InvalidRequestError: `return_to` is no path of this platform.
            UnavailableError: the provider does not answer.
        """
        if len(return_to) > MAX_RETURN_TO or not _OWN_PATH.fullmatch(return_to):
            problem = FieldProblem(field="return_to", message="must be a path of this platform, such as /")
            raise InvalidRequestError("The request's parameters are invalid; see errors.", [problem])
        secret, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        url = await self._provider.sign_in_url(_proof(state, secret))
        row = OidcSignInRow(
            state_hash=token_hash(state),
            browser_hash=token_hash(secret),
            return_to=return_to,
            created_at=self._clock(),
        )
        with database_errors():
            async with self._sessions.begin() as session:
                await OidcSignInRepository(session).add(row)
        return SignInBegun(url, secret)

    async def finish(self, come_back: ComeBack, secret: str | None, browser: Browser) -> SignedIn:
        """Return a new session for whoever came back; `secret` is what the browser kept.

        Raises:
            SignInRefusedError: this browser did not begin it; or it was used or is too old; or the provider refused;
                or there is no account, or none that can sign in.
            UnavailableError: the provider does not answer.
            ConflictError: somebody else made the same account meanwhile.
        """
        if come_back.state is None or secret is None:
            raise SignInRefusedError(_ELSEWHERE, "no state or cookie")
        return_to = await self._taken(come_back.state, secret)
        if come_back.error is not None:
            message = f"The sign-in service did not sign you in ({come_back.error})."
            raise SignInRefusedError(message, f"provider: {come_back.error}")
        if come_back.code is None:
            raise SignInRefusedError(_ELSEWHERE, "no code")
        identity = await self._provider.identify(come_back.code, _proof(come_back.state, secret), come_back.issuer)
        with database_errors():
            async with self._sessions.begin() as session:
                user = await self._accounts(session).get(identity)
                _, token = await UserSessionService(session, self._clock).start(user, browser)
        return SignedIn(token, return_to)

    async def _taken(self, state: str, secret: str) -> str:
        """Use a sign-in up, and return where its browser wanted to go."""
        with database_errors():
            async with self._sessions.begin() as session:
                row = await OidcSignInRepository(session).take(token_hash(state))
        if row is None:
            raise SignInRefusedError(_ELSEWHERE, "unknown state")
        if not hmac.compare_digest(bytes(row.browser_hash), token_hash(secret)):
            raise SignInRefusedError(_ELSEWHERE, "another browser")
        if row.created_at + MAX_PENDING <= self._clock():
            raise SignInRefusedError(_ELSEWHERE, "too old")
        return row.return_to

    def _accounts(self, session: AsyncSession) -> AccountOfIdentity:
        return AccountOfIdentity(session, self._rules.default_role, self._rules.link_by_email, self._clock)


def _proof(state: str, secret: str) -> SignInProof:
    """Return what only the browser with this secret can bring back, of which so nothing needs to be stored."""
    return SignInProof(state, nonce=_derived("nonce", secret), verifier=_derived("verifier", secret))


def _derived(purpose: str, secret: str) -> str:
    digest = hashlib.sha256(f"{purpose}:{secret}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
