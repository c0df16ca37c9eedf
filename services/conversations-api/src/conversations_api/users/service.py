"""Operations on accounts."""

from typing import Final

from mh_common.auth.principals import Principal
from mh_common.auth.roles import Role
from mh_common.errors import ConflictError, InvalidRequestError
from mh_common.models import (
    AccountKind,
    AccountState,
    Credential,
    CredentialKind,
    FieldProblem,
    Me,
    PasswordChange,
    PrincipalKind,
    User,
    UserCreate,
    UserPage,
    UserUpdate,
)

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.models import UserRow
from conversations_api.passwords import hash_password, verify_password
from conversations_api.sessions.repository import UserSessionRepository
from conversations_api.teams.repository import TeamRepository
from conversations_api.users.repository import UserRepository, to_user

_OWN_FIELDS: Final = ("display_name", "email", "role", "state")


class UserService:
    """Reads and changes accounts in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._users = UserRepository(session)
        self._sessions = UserSessionRepository(session)
        self._teams = TeamRepository(session)
        self._clock = clock

    async def get(self, user_id: int) -> User:
        """Return an account. Raises NotFoundError."""
        return to_user(await self._users.get(user_id))

    async def list(self, after: int, limit: int) -> UserPage:
        """Return one page of accounts, by id; `after` is the cursor of the previous page."""
        found = await self._users.list(after, limit + 1)
        page = found[:limit]
        return UserPage(
            items=[to_user(row) for row in page], next_cursor=str(page[-1].id) if len(found) > limit else None
        )

    async def add(self, content: UserCreate) -> User:
        """Add an account.

        Raises:
            ConflictError: the username is taken.
            InvalidRequestError: a service account with a password.
        """
        if content.kind is AccountKind.SERVICE:
            _refuse_password(content.password)
        values = content.model_dump(exclude={"password"})
        password_hash = await hash_password(content.password) if content.password else None
        row = await self._users.add({**values, "password_hash": password_hash}, self._clock())
        return to_user(row)

    async def update(self, user_id: int, change: UserUpdate) -> User:
        """Change an account. A new password, or disabling it, ends its sessions.

        Raises:
            NotFoundError: there is no such account.
            ConflictError: it is the last administrator, who would be locked out.
            InvalidRequestError: a service account gets a password.
        """
        given = change.model_fields_set
        # Before the first statement, so that nobody waits for this transaction meanwhile.
        password_hash = await hash_password(change.password) if change.password else None
        administrators = await self._users.lock_administrators()
        row = await self._users.lock(user_id)
        if row.kind is AccountKind.SERVICE:
            _refuse_password(change.password)
        for name in _OWN_FIELDS:
            if name in given:
                setattr(row, name, getattr(change, name))
        if password_hash:
            row.password_hash = password_hash
        if administrators == {user_id} and not _is_administrator(row):
            raise ConflictError("This is the only administrator left. Make another one first.")
        if password_hash or row.state is AccountState.DISABLED:
            await self._sessions.delete_of_user(user_id)
        row.version += 1
        row.updated_at = self._clock()
        return to_user(row)

    async def describe(self, principal: Principal) -> Me:
        """Return who a caller is. Raises NotFoundError if its account was deleted meanwhile."""
        user = None if principal.user_id is None else await self._users.get(principal.user_id)
        teams = [] if principal.user_id is None else await self._teams.list_of_user(principal.user_id)
        return Me(
            id=principal.user_id,
            username=principal.username,
            display_name=user.display_name if user else None,
            kind=principal.kind,
            role=principal.role,
            scopes=sorted(principal.scopes),
            credential=Credential(kind=principal.credential, id=principal.credential_id)
            if principal.credential
            else None,
            teams=teams,
        )

    async def change_password(self, principal: Principal, change: PasswordChange) -> None:
        """Set the caller's own password, and end its other sessions.

        Raises:
            InvalidRequestError: the current password is wrong, or the caller has none.
        """
        if principal.user_id is None or principal.kind is not PrincipalKind.PERSON:
            raise InvalidRequestError("Only people have passwords.")
        row = await self._users.lock(principal.user_id)
        if not await verify_password(change.current_password, row.password_hash):
            problem = FieldProblem(field="current_password", message="is wrong")
            raise InvalidRequestError("The current password is wrong.", [problem])
        row.password_hash = await hash_password(change.new_password)
        row.version += 1
        row.updated_at = self._clock()
        own = principal.credential_id if principal.credential is CredentialKind.SESSION else None
        await self._sessions.delete_of_user(row.id, but=own)


def _is_administrator(row: UserRow) -> bool:
    return row.role is Role.ADMIN and row.state is AccountState.ACTIVE


def _refuse_password(password: str | None) -> None:
    if password is not None:
        problem = FieldProblem(field="password", message="must be absent: service accounts have keys instead")
        raise InvalidRequestError("The request's body is invalid; see errors.", [problem])
