"""Routes of identities: who may sign in with an account by way of an OpenID provider."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from mh_common.auth.roles import Scope
from mh_common.models import MAX_ID, Identity, IdentityCreate, IdentityPage, NumberParameter
from mh_common.web.access import GuardedRoute, requires

from conversations_api.dependencies import HAS_ACCOUNTS, OptionalSignIn, ReadSession, WriteSession
from conversations_api.identities import documentation
from conversations_api.identities.service import IdentityService

router = APIRouter(
    route_class=GuardedRoute,
    prefix="/api/v1/users/{user_id}/identities",
    tags=["accounts"],
    dependencies=[requires(Scope.USERS_MANAGE), HAS_ACCOUNTS],
)

UserId = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The account's id.")]
Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The identity's id.")]
Cursor = Annotated[NumberParameter, Query(ge=0, le=MAX_ID, description="`next_cursor` of the previous page.")]


@router.get("", responses=documentation.LISTED)
async def list_identities(
    user_id: UserId,
    session: ReadSession,
    cursor: Cursor = 0,
    limit: Annotated[NumberParameter, Query(ge=1, le=200)] = 50,
) -> IdentityPage:
    """List who may sign in with an account by way of an OpenID provider."""
    return await IdentityService(session).list(user_id, cursor, limit)


@router.post("", status_code=201, responses=documentation.ADDED)
async def add(
    user_id: UserId,
    content: Annotated[IdentityCreate, Body(openapi_examples=documentation.NEW)],
    session: WriteSession,
    sign_in: OptionalSignIn,
) -> Identity:
    """Let a person sign in with an account by way of an OpenID provider."""
    return await IdentityService(session).add(user_id, content, sign_in.issuer if sign_in else None)


@router.delete("/{identity_id}", status_code=204, responses=documentation.DELETED)
async def delete(user_id: UserId, identity_id: Id, session: WriteSession) -> None:
    """End that a person can sign in with an account. It ends the account's sessions."""
    await IdentityService(session).delete(user_id, identity_id)
