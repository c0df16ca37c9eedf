"""Routes of accounts, and of the caller's own."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from mh_common.auth.roles import SCOPES_OF, Scope
from mh_common.models import (
    MAX_ID,
    Me,
    NumberParameter,
    PasswordChange,
    RoleScopes,
    User,
    UserCreate,
    UserPage,
    UserUpdate,
)
from mh_common.web.access import SIGNED_IN, CurrentPrincipal, GuardedRoute, requires

from conversations_api.dependencies import HAS_ACCOUNTS, Attempts, ReadSession, WriteSession
from conversations_api.users import documentation
from conversations_api.users.service import UserService

router = APIRouter(route_class=GuardedRoute, prefix="/api/v1", tags=["accounts"])

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The account's id.")]
Cursor = Annotated[NumberParameter, Query(ge=0, le=MAX_ID, description="`next_cursor` of the previous page.")]
MANAGE = [requires(Scope.USERS_MANAGE), HAS_ACCOUNTS]


@router.get("/users", responses=documentation.LISTED, dependencies=MANAGE)
async def list_users(
    session: ReadSession,
    cursor: Cursor = 0,
    limit: Annotated[NumberParameter, Query(ge=1, le=200)] = 50,
) -> UserPage:
    """List accounts, by id, one page at a time."""
    return await UserService(session).list(cursor, limit)


@router.post("/users", status_code=201, responses=documentation.ADDED, dependencies=MANAGE)
async def add(
    content: Annotated[UserCreate, Body(openapi_examples=documentation.NEW)], session: WriteSession, response: Response
) -> User:
    """Add an account: of a person, or of a program, which has keys and cannot sign in."""
    user = await UserService(session).add(content)
    response.headers["Location"] = f"/api/v1/users/{user.id}"
    return user


@router.get("/users/{user_id}", responses=documentation.READ, dependencies=MANAGE)
async def get(user_id: Id, session: ReadSession) -> User:
    """Return an account."""
    return await UserService(session).get(user_id)


@router.patch("/users/{user_id}", responses=documentation.CHANGED, dependencies=MANAGE)
async def update(
    user_id: Id,
    change: Annotated[UserUpdate, Body(openapi_examples=documentation.CHANGE)],
    session: WriteSession,
) -> User:
    """Change an account. Disabling it, or a new password, ends its sessions; its keys work only while it is active."""
    return await UserService(session).update(user_id, change)


@router.get("/me", responses=documentation.ME, dependencies=[SIGNED_IN])
async def me(principal: CurrentPrincipal, session: ReadSession) -> Me:
    """Return who calls, and what it may do with the credential that it sent."""
    return await UserService(session).describe(principal)


@router.put(
    "/me/password",
    status_code=204,
    responses=documentation.PASSWORD_CHANGED,
    dependencies=[SIGNED_IN, HAS_ACCOUNTS],
)
async def change_password(
    change: Annotated[PasswordChange, Body(openapi_examples=documentation.PASSWORD)],
    principal: CurrentPrincipal,
    session: WriteSession,
    attempts: Attempts,
) -> None:
    """Set one's own password, and end one's other sessions."""
    await attempts.count(principal.username)
    await UserService(session).change_password(principal, change)


@router.get("/roles", responses=documentation.ROLES, dependencies=[SIGNED_IN])
async def list_roles() -> list[RoleScopes]:
    """List the roles, and the scopes of each."""
    return [RoleScopes(role=role, scopes=sorted(scopes)) for role, scopes in SCOPES_OF.items()]
