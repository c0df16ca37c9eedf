"""Which account somebody gets whom an OpenID provider signed in."""

import hashlib
from collections.abc import Iterator
from typing import Final

from mh_common.auth.roles import Role
from mh_common.errors import ConflictError
from mh_common.models import AccountKind, UserCreate
from pydantic import ValidationError

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.identities.repository import IdentityRepository
from conversations_api.models import UserRow
from conversations_api.oidc.identity import ProviderIdentity, SignInRefusedError
from conversations_api.sessions.service import may_sign_in
from conversations_api.users.repository import UserRepository

_NOT_TO_BE_CHOSEN: Final = frozenset({"local", "platform"})
"""By which logs name callers without an account."""


class AccountOfIdentity:
    """Finds, links or makes accounts in a session; the caller commits.

    Args:
        session: the session.
        default_role: role of a new account; None: none is made.
        link_by_email: whether an account may be found by its e-mail address.
        clock: returns the current time.
    """

    def __init__(
        self, session: AsyncSession, default_role: Role | None, link_by_email: bool, clock: Clock = utc_now
    ) -> None:
        self._identities = IdentityRepository(session)
        self._users = UserRepository(session)
        self._default_role = default_role
        self._link_by_email = link_by_email
        self._clock = clock

    async def get(self, identity: ProviderIdentity) -> UserRow:
        """Return the account of this person, which is active.

        Raises:
            SignInRefusedError: there is none, or it cannot sign in.
            ConflictError: somebody linked or made it at the same moment.
        """
        linked = await self._identities.lock(identity.issuer, identity.subject)
        if linked is not None:
            linked.email, linked.email_verified = identity.email, identity.email_verified
            user = None if linked.user_id is None else await self._users.get(linked.user_id)
        else:
            user = await self._found_by_email(identity) or await self._made(identity)
            await self._identities.add(
                user.id,
                identity.issuer,
                identity.subject,
                self._clock(),
                email=identity.email,
                email_verified=identity.email_verified,
            )
        if user is None or not may_sign_in(user):
            raise SignInRefusedError("This account is disabled. Ask an administrator.", "disabled")
        await self._users.set_last_login(user.id, self._clock())
        return user

    async def _found_by_email(self, identity: ProviderIdentity) -> UserRow | None:
        """Return the only account of a person with this address that has no other identity of the issuer, or None."""
        if not self._link_by_email or not identity.email_verified or identity.email is None:
            return None
        candidates = await self._users.list_by_email(identity.email)
        same = [row for row in candidates if _is_same_address(row.email, identity.email)]
        if len(same) != 1 or not may_sign_in(same[0]):
            return None
        return None if await self._identities.has_one_of(same[0].id, identity.issuer) else same[0]

    async def _made(self, identity: ProviderIdentity) -> UserRow:
        # Before the first administrator is there, nobody is: a person's account would end the set-up.
        if self._default_role is None or not await self._users.any_exist():
            raise SignInRefusedError(
                "You have no account here yet. Ask an administrator to link yours: the issuer is "
                f"{identity.issuer}, and your subject is {identity.subject}",
                "no account",
            )
        email = identity.email if identity.email_verified else None
        for username in _usernames(identity):
            if await self._users.find_by_name(username) is not None:
                continue
            values = _account(username, self._default_role, identity.name, email)
            return await self._users.add(values, self._clock())
        raise ConflictError("There is an account with your name already. Ask an administrator.")


def _usernames(identity: ProviderIdentity) -> Iterator[str]:
    """Yield names for a new account, the best first; what is no username of this platform is left out."""
    mark = hashlib.sha256(f"{identity.issuer}\n{identity.subject}".encode()).hexdigest()[:8]
    wishes = [identity.username, identity.email if identity.email_verified else None]
    given = [wish for wish in wishes if wish and wish not in _NOT_TO_BE_CHOSEN and _valid({"username": wish})]
    yield from given
    yield from (f"{name}-{mark}" for name in given if _valid({"username": f"{name}-{mark}"}))
    yield f"person-{mark}"


def _account(username: str, role: Role, name: str | None, email: str | None) -> dict[str, object]:
    """Return the values of a new account. A name or address that no administrator could give it is left out."""
    return {
        "username": username,
        "role": role,
        "kind": AccountKind.PERSON,
        "password_hash": None,
        "display_name": _valid({"display_name": name}).get("display_name"),
        "email": _valid({"email": email}).get("email"),
    }


def _valid(field: dict[str, str | None]) -> dict[str, str | None]:
    """Return a field of an account as the API would store it; nothing if it would refuse it."""
    try:
        content = UserCreate.model_validate({"username": "x", "role": Role.COUNSELOR, **field})
    except ValidationError:
        return {}
    return {name: getattr(content, name) for name in field}


def _is_same_address(stored: str | None, given: str) -> bool:
    """Return whether two addresses are the same but for the case of ASCII letters.

    Databases, and Unicode's lower case, take different letters for the same: whoever gets such an address would get
    another's account.
    """
    if stored is None or stored == given:
        return stored is not None
    return stored.isascii() and given.isascii() and stored.lower() == given.lower()
