"""Signing in and out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mh_common.auth.principals import Principal
from mh_common.auth.tokens import TokenKind, make_token, token_hash
from mh_common.errors import AuthenticationError, NotFoundError
from mh_common.models import AccountKind, AccountState, CredentialKind, Session, SessionCreate, SessionList

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.models import UserRow, UserSessionRow
from conversations_api.passwords import verify_password
from conversations_api.sessions.repository import UserSessionRepository, to_session
from conversations_api.users.repository import UserRepository

MAX_AGE: Final = timedelta(days=14)
"""A session ends this long after signing in."""
MAX_IDLE: Final = timedelta(hours=12)
"""A session ends if it is not used for this long."""

MAX_ADDRESS: Final = 45
MAX_USER_AGENT: Final = 255

WRONG: Final = "The username or the password is wrong."


@dataclass(frozen=True)
class Browser:
    """Where somebody signs in from, as the request says: shown to the owner of the session."""

    ip: str | None
    user_agent: str | None


class UserSessionService:
    """Signs people in and out in a session of the database; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._users = UserRepository(session)
        self._sessions = UserSessionRepository(session)
        self._clock = clock

    async def sign_in(self, reads: AsyncSession, content: SessionCreate, browser: Browser) -> tuple[Session, str]:
        """Return a new session and its token.

        The account is read in `reads`, so that nobody waits for this transaction while the password is checked.

        Raises:
            AuthenticationError: the username or the password is wrong, or the account is disabled or has no password.
                The error and the time it takes are the same for all of these.
        """
        user = await UserRepository(reads).find_by_name(content.username)
        is_right = await verify_password(content.password, user.password_hash if user else None)
        if user is None or not is_right or not may_sign_in(user):
            raise AuthenticationError(WRONG)
        return await self.start(user, browser)

    async def start(self, user: UserRow, browser: Browser) -> tuple[Session, str]:
        """Return a new session and its token. The caller has found out that it is this person, who may sign in."""
        now = self._clock()
        await self._users.set_last_login(user.id, now)
        token = make_token(TokenKind.SESSION)
        row = UserSessionRow(
            token_hash=token_hash(token),
            user_id=user.id,
            created_at=now,
            last_seen_at=now,
            idle_until=now + MAX_IDLE,
            expires_at=now + MAX_AGE,
            ip=browser.ip[:MAX_ADDRESS] if browser.ip else None,
            user_agent=browser.user_agent[:MAX_USER_AGENT] if browser.user_agent else None,
        )
        session_id = await self._sessions.add(row)
        return to_session(row, session_id), token

    async def list(self, principal: Principal) -> SessionList:
        """Return where the caller is signed in, newest first."""
        rows = await self._sessions.list(_account_of(principal), self._clock())
        return SessionList(items=[to_session(row, _current(principal)) for row in rows])

    async def end(self, principal: Principal, session_id: int) -> None:
        """End one of the caller's sessions. Raises NotFoundError."""
        if not await self._sessions.delete(session_id, _account_of(principal)):
            raise NotFoundError(f"There is no session {session_id}.")

    async def end_current(self, principal: Principal) -> None:
        """Sign the caller out. Raises NotFoundError if it did not sign in but sent a key."""
        current = _current(principal)
        if current is None:
            raise NotFoundError("You are not signed in: the request has an API key. Revoke that instead.")
        await self.end(principal, current)


def idle_until(now: datetime) -> datetime:
    """Return when a session that is used now ends, if it is not used again."""
    return now + MAX_IDLE


def may_sign_in(user: UserRow) -> bool:
    """Return whether there can be sessions of an account."""
    return user.state is AccountState.ACTIVE and user.kind is AccountKind.PERSON


def _account_of(principal: Principal) -> int:
    if principal.user_id is None:
        raise NotFoundError("The platform's own services have no sessions.")
    return principal.user_id


def _current(principal: Principal) -> int | None:
    return principal.credential_id if principal.credential is CredentialKind.SESSION else None
