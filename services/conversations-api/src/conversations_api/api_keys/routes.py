"""Routes of API keys."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from mh_common.models import MAX_ID, ApiKeyCreate, ApiKeyCreated, ApiKeyPage, NumberParameter
from mh_common.web.access import SIGNED_IN, CurrentPrincipal, GuardedRoute

from conversations_api.api_keys import documentation
from conversations_api.api_keys.service import ApiKeyService
from conversations_api.dependencies import HAS_ACCOUNTS, ReadSession, WriteSession

PREFIX = "/api/v1/api-keys"

router = APIRouter(route_class=GuardedRoute, prefix=PREFIX, tags=["accounts"], dependencies=[SIGNED_IN, HAS_ACCOUNTS])

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The key's id.")]
Cursor = Annotated[NumberParameter | None, Query(ge=1, le=MAX_ID, description="`next_cursor` of the previous page.")]
Owner = Annotated[NumberParameter | None, Query(ge=1, le=MAX_ID, description="Only the keys of this account.")]


@router.get("", responses=documentation.LISTED)
async def list_keys(
    principal: CurrentPrincipal,
    session: ReadSession,
    user_id: Owner = None,
    cursor: Cursor = None,
    limit: Annotated[NumberParameter, Query(ge=1, le=200)] = 50,
) -> ApiKeyPage:
    """List one's own keys, newest first, one page at a time; with the scope users:manage everybody's."""
    return await ApiKeyService(session).list(principal, user_id, cursor, limit)


@router.post("", status_code=201, responses=documentation.MADE)
async def make(
    content: Annotated[ApiKeyCreate, Body(openapi_examples=documentation.NEW)],
    principal: CurrentPrincipal,
    session: WriteSession,
    response: Response,
) -> ApiKeyCreated:
    """Make a key for a program. It may do at most what its owner may, and what the caller may now."""
    made = await ApiKeyService(session).add(principal, content)
    response.headers["Cache-Control"] = "no-store"
    return made


@router.post("/{key_id}/rotate", status_code=201, responses=documentation.MADE)
async def rotate(key_id: Id, principal: CurrentPrincipal, session: WriteSession, response: Response) -> ApiKeyCreated:
    """Make a new key in place of this one, which stops working at once."""
    made = await ApiKeyService(session).rotate(principal, key_id)
    response.headers["Cache-Control"] = "no-store"
    return made


@router.delete("/{key_id}", status_code=204, responses=documentation.ENDED)
async def revoke(key_id: Id, principal: CurrentPrincipal, session: WriteSession) -> None:
    """Revoke a key: it stops working at once. It stays in the list."""
    await ApiKeyService(session).revoke(principal, key_id)
