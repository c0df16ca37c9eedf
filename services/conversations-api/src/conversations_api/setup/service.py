"""Making the first administrator: with a token that the first start prints, so that no stranger can be first."""

import hmac
from datetime import datetime

from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, make_token, token_hash
from mh_common.errors import AuthenticationError, InvalidRequestError
from mh_common.models import AccountKind, Setup, User, UserCreate
from mh_common.models.faults import field_problems
from pydantic import ValidationError

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.passwords import hash_password
from conversations_api.setup.repository import InstallationRepository
from conversations_api.users.repository import UserRepository, to_user


class SetupService:
    """Sets up an installation in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._installation = InstallationRepository(session)
        self._users = UserRepository(session)
        self._clock = clock

    async def make_token(self, *, replace: bool = False) -> str | None:
        """Return a new setup token; None if the installation is set up, or if it has a token that is still to be used.

        With `replace` such a token is replaced, since nothing can tell it again.
        """
        if await self._users.any_exist():
            return None
        token = make_token(TokenKind.SETUP)
        if await self._installation.add(token_hash(token), self._clock()):
            return token
        row = await self._installation.lock()
        if row is None or row.set_up_at is not None or not replace:
            return None
        row.setup_token_hash = token_hash(token)
        return token

    async def make_administrator(self, username: str, password: str) -> bool:
        """Make the first administrator without a token; return False if anybody has an account.

        Raises:
            InvalidRequestError: the username or the password does not have the form that they need.
        """
        if await self._users.any_exist():
            return False
        try:
            content = UserCreate(username=username, password=password, role=Role.ADMIN)
        except ValidationError as error:
            problems = field_problems(error.errors(include_input=False, include_url=False, include_context=False))
            faults = "; ".join(f"{one.field} {one.message}" for one in problems)
            raise InvalidRequestError(f"AUTH_ADMIN_USERNAME, AUTH_ADMIN_PASSWORD: {faults}", problems) from None
        now = self._clock()
        # Only one of several replicas gets to make it.
        if not await self._installation.add(None, now):
            return False
        await self._add(content.username, None, await hash_password(password), now)
        return True

    async def set_up(self, content: Setup) -> User:
        """Make the first administrator, and use up the token.

        Raises:
            AuthenticationError: the token is wrong, or was used.
            ConflictError: the username is taken.
        """
        password_hash = await hash_password(content.password)
        row = await self._installation.lock()
        expected = row.setup_token_hash if row else None
        if row is None or expected is None or not hmac.compare_digest(bytes(expected), token_hash(content.token)):
            raise AuthenticationError(
                "The setup token is wrong, or was used. `python -m conversations_api.accounts setup-token` makes a new "
                "one while there is no account."
            )
        now = self._clock()
        row.setup_token_hash, row.set_up_at = None, now
        return await self._add(content.username, content.display_name, password_hash, now)

    async def _add(self, username: str, display_name: str | None, password_hash: str, now: datetime) -> User:
        values = {
            "username": username,
            "display_name": display_name,
            "password_hash": password_hash,
            "role": Role.ADMIN,
            "kind": AccountKind.PERSON,
        }
        return to_user(await self._users.add(values, now))
