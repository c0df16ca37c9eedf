"""Routes of the query history.

`X-User-Id` is trusted: the platform does not authenticate users. Operators put an authenticating proxy in front of it
that sets the header and overwrites whatever the client sent.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from mh_common.errors import FeatureDisabledError
from mh_common.models import (
    MAX_ID,
    USER_ID_HEADER,
    USER_ID_PATTERN,
    HistoryDeleted,
    HistoryEntry,
    HistoryPage,
    NumberParameter,
    RequestUuid,
)

from conversations_api.dependencies import ReadSession, WriteSession, state_of
from conversations_api.history import documentation
from conversations_api.history.service import HistoryService

router = APIRouter(prefix="/api/v1/history", tags=["history"])


async def _turned_on(request: Request) -> None:
    if not state_of(request).history_enabled:
        message = "The query history is turned off (HISTORY_ENABLED). Entries can only be deleted."
        raise FeatureDisabledError(message)


TURNED_ON = [Depends(_turned_on)]
_USER = Header(
    alias=USER_ID_HEADER, pattern=USER_ID_PATTERN, description="The user's id, as set by the authenticating proxy."
)

AnswerId = Annotated[RequestUuid, Path(description="The answer's id.")]
User = Annotated[str, _USER]
OptionalUser = Annotated[str | None, _USER]
Cursor = Annotated[NumberParameter | None, Query(ge=1, le=MAX_ID, description="`next_cursor` of the previous page.")]


@router.get("", responses=documentation.LISTED, dependencies=TURNED_ON)
async def list_history(
    user_id: User,
    session: ReadSession,
    cursor: Cursor = None,
    limit: Annotated[NumberParameter, Query(ge=1, le=100)] = 20,
) -> HistoryPage:
    """List the user's own entries, newest first, one page at a time."""
    return await HistoryService(session).list(user_id, cursor, limit)


@router.delete("", responses=documentation.CLEARED)
async def clear(user_id: User, session: WriteSession) -> HistoryDeleted:
    """Permanently delete all of the user's entries."""
    return HistoryDeleted(deleted=await HistoryService(session).clear(user_id))


@router.get("/{answer_id}", responses=documentation.READ, dependencies=TURNED_ON)
async def get(answer_id: AnswerId, session: ReadSession, user_id: OptionalUser = None) -> HistoryEntry:
    """Return an entry: one of the user's own, or one stored without a user."""
    return await HistoryService(session).get(answer_id, user_id)


@router.delete("/{answer_id}", status_code=204, responses=documentation.DELETED)
async def delete(answer_id: AnswerId, session: WriteSession, user_id: OptionalUser = None) -> None:
    """Permanently delete an entry: one of the user's own, or one stored without a user."""
    await HistoryService(session).delete(answer_id, user_id)
