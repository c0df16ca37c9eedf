"""The users table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mh_common.auth.roles import Role
from mh_common.errors import ConflictError, NotFoundError
from mh_common.models import AccountKind, AccountState, User
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import UserRow


class UserRepository:
    """Reads and writes accounts in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any], at: datetime) -> UserRow:
        """Insert an active account. Raises ConflictError if its username is taken."""
        row = UserRow(**values, state=AccountState.ACTIVE, created_at=at, updated_at=at, version=1)
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError as error:
            raise ConflictError(f"The username {values['username']} is taken. Choose another.") from error
        return row

    async def get(self, user_id: int) -> UserRow:
        """Return an account. Raises NotFoundError."""
        row = await self._session.get(UserRow, user_id)
        if row is None:
            raise NotFoundError(f"There is no user {user_id}.")
        return row

    async def lock(self, user_id: int) -> UserRow:
        """Return an account, locked against other writers until the commit. Raises NotFoundError."""
        row = await self._session.get(UserRow, user_id, with_for_update=True)
        if row is None:
            raise NotFoundError(f"There is no user {user_id}.")
        return row

    async def find_by_name(self, username: str) -> UserRow | None:
        """Return the account with this username, or None."""
        row: UserRow | None = await self._session.scalar(select(UserRow).where(UserRow.username == username))
        return row

    async def list_by_email(self, email: str) -> list[UserRow]:
        """Return the active accounts of people whose address the database takes for the same as this one."""
        query = select(UserRow).where(
            func.lower(UserRow.email) == email.lower(),
            UserRow.kind == AccountKind.PERSON,
            UserRow.state == AccountState.ACTIVE,
        )
        return list(await self._session.scalars(query))

    async def set_last_login(self, user_id: int, at: datetime) -> None:
        """Note when somebody signed in. It is no change of the account."""
        await self._session.execute(update(UserRow).where(UserRow.id == user_id).values(last_login_at=at))

    async def list(self, after: int, limit: int) -> list[UserRow]:
        """Return at most `limit` accounts with ids above `after`, by id."""
        query = select(UserRow).where(UserRow.id > after).order_by(UserRow.id).limit(limit)
        return list(await self._session.scalars(query))

    async def any_exist(self) -> bool:
        """Return whether there is any account of a person."""
        query = select(UserRow.id).where(UserRow.kind == AccountKind.PERSON).limit(1)
        return await self._session.scalar(query) is not None

    async def lock_administrators(self) -> set[int]:
        """Return the ids of the active administrators who are people, locked against other writers until the commit."""
        query = select(UserRow.id).where(
            UserRow.role == Role.ADMIN, UserRow.state == AccountState.ACTIVE, UserRow.kind == AccountKind.PERSON
        )
        return set(await self._session.scalars(query.with_for_update()))


def to_user(row: UserRow) -> User:
    """Return the account that a row holds, without its password's hash."""
    names = User.model_fields.keys() - {"has_password"}
    return User(has_password=row.password_hash is not None, **{name: getattr(row, name) for name in names})
