"""Routes of sessions: signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response
from mh_common.models import MAX_ID, NumberParameter, SessionCreate, SessionCreated, SessionList
from mh_common.web.access import PUBLIC, SIGNED_IN, CurrentPrincipal, GuardedRoute, check_origin
from mh_common.web.forwarded import address_of

from conversations_api.dependencies import HAS_ACCOUNTS, Attempts, ReadSession, WriteSession
from conversations_api.sessions import documentation
from conversations_api.sessions.cookies import delete_session_cookie, set_session_cookie
from conversations_api.sessions.service import Browser, UserSessionService

router = APIRouter(route_class=GuardedRoute, prefix="/api/v1/sessions", tags=["accounts"], dependencies=[HAS_ACCOUNTS])

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The session's id.")]


@router.post("", status_code=201, responses=documentation.STARTED, dependencies=[PUBLIC])
async def sign_in(
    content: Annotated[SessionCreate, Body(openapi_examples=documentation.NEW)],
    request: Request,
    response: Response,
    reads: ReadSession,
    session: WriteSession,
    attempts: Attempts,
) -> SessionCreated:
    """Sign in with a password. 10 attempts with a username and 100 from an address are possible in 15 minutes."""
    address = address_of(request)
    await attempts.count(content.username, address)
    browser = Browser(address, request.headers.get("User-Agent"))
    if content.cookie:
        check_origin(request)
    started, token = await UserSessionService(session).sign_in(reads, content, browser)
    if not content.cookie:
        return SessionCreated(session=started, token=token)
    set_session_cookie(request, response, token)
    return SessionCreated(session=started, token=None)


@router.get("", responses=documentation.LISTED, dependencies=[SIGNED_IN])
async def list_sessions(principal: CurrentPrincipal, session: ReadSession) -> SessionList:
    """List where the caller is signed in, newest first."""
    return await UserSessionService(session).list(principal)


@router.delete("/current", status_code=204, responses=documentation.ENDED, dependencies=[SIGNED_IN])
async def sign_out(principal: CurrentPrincipal, session: WriteSession, response: Response) -> None:
    """Sign out."""
    await UserSessionService(session).end_current(principal)
    delete_session_cookie(response)


@router.delete("/{session_id}", status_code=204, responses=documentation.ENDED, dependencies=[SIGNED_IN])
async def end(session_id: Id, principal: CurrentPrincipal, session: WriteSession) -> None:
    """End one of the caller's sessions."""
    await UserSessionService(session).end(principal, session_id)
