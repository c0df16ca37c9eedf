"""Users: the accounts of people and of programs. Only those who may manage users can use these calls."""

from collections.abc import AsyncIterator, Iterator
from typing import Final, Literal, TypedDict, Unpack

from mh_common.auth.roles import Role
from mh_common.models import AccountKind, AccountState, User, UserCreate, UserPage, UserUpdate

from mh_client._base import Call, Retry, validated
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/users"

RoleName = Literal["counselor", "curator", "operator", "admin"]


class UserChanges(TypedDict, total=False):
    """What can be changed of an account; None clears the display name or the e-mail address."""

    display_name: str | None
    email: str | None
    role: Role | RoleName
    state: AccountState | Literal["active", "disabled"]
    password: str


def create(
    username: str,
    role: Role | RoleName,
    *,
    kind: AccountKind | Literal["person", "service"] = AccountKind.PERSON,
    display_name: str | None = None,
    email: str | None = None,
    password: str | None = None,
) -> Call[User]:
    """Add an account. Raises ConflictError if there is one of that name.

    A person without a password (at least 12 characters) cannot sign in until `update` sets one. A service account is
    for a program: it cannot sign in, it has API keys.
    """
    named = {"username": username, "role": role, "kind": kind}
    given = {**named, "display_name": display_name, "email": email, "password": password}
    return Call(
        method="POST",
        path=PATH,
        content=validated(UserCreate, given).model_dump_json(exclude_none=True).encode(),
        parse=User.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
    )


def get(user_id: int) -> Call[User]:
    """Return an account. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{user_id:d}", parse=User.model_validate_json)


def list_page(cursor: str | None = None, limit: int | None = None) -> Call[UserPage]:
    """Return one page of accounts, by id."""
    query = {"cursor": cursor, "limit": limit}
    return Call(method="GET", path=PATH, params=query_params(query), parse=UserPage.model_validate_json)


def update(user_id: int, **changes: Unpack[UserChanges]) -> Call[User]:
    """Change the given fields of an account. Raises NotFoundError.

    Disabling it (`state="disabled"`) ends its sessions and the use of its keys; a new password ends its sessions.
    """
    return Call(
        method="PATCH",
        path=f"{PATH}/{user_id:d}",
        content=validated(UserUpdate, changes).model_dump_json(exclude_unset=True).encode(),
        parse=User.model_validate_json,
    )


class Users(Resource):
    """`client.users`."""

    create = sync_method(create)
    get = sync_method(get)
    list = sync_method(list_page)
    update = sync_method(update)

    def iterate(self) -> Iterator[User]:
        """Iterate over all accounts, by id, requesting pages as needed."""
        for page in pages(self._sender, list_page):
            yield from page.items


class AsyncUsers(AsyncResource):
    """`client.users` of `AsyncClient`."""

    create = async_method(create)
    get = async_method(get)
    list = async_method(list_page)
    update = async_method(update)

    async def iterate(self) -> AsyncIterator[User]:
        """Iterate over all accounts, by id, requesting pages as needed."""
        async for page in pages_async(self._sender, list_page):
            for user in page.items:
                yield user
