"""Routes of the query history.

With accounts, a user is the one who has signed in, or the owner of the key. If the caller may act for others, which
keys with the scope `on-behalf-of` may, and everybody where there are no accounts, it is who `X-User-Id` says.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from mh_common.auth.roles import Scope
from mh_common.errors import FeatureDisabledError, InvalidRequestError
from mh_common.models import (
    MAX_ID,
    USER_ID_HEADER,
    FieldProblem,
    HistoryDeleted,
    HistoryEntry,
    HistoryPage,
    NumberParameter,
    RequestUuid,
)
from mh_common.web.access import CurrentPrincipal, GuardedRoute, requires
from mh_common.web.outside_users import OutsideUser as NamedUser

from conversations_api.dependencies import ReadSession, WriteSession, state_of
from conversations_api.history import documentation
from conversations_api.history.service import HistoryService, Reader

router = APIRouter(
    route_class=GuardedRoute, prefix="/api/v1/history", tags=["history"], dependencies=[requires(Scope.HISTORY_OWN)]
)


async def _turned_on(request: Request) -> None:
    if not state_of(request).history_enabled:
        message = "The query history is turned off (HISTORY_ENABLED). Entries can only be deleted."
        raise FeatureDisabledError(message)


TURNED_ON = [Depends(_turned_on)]


async def _reader(principal: CurrentPrincipal, named: NamedUser) -> Reader:
    return Reader.of(principal, named)


async def _owner(reader: Annotated[Reader, Depends(_reader)]) -> Reader:
    if reader.is_anonymous:
        raise InvalidRequestError(
            "The request's parameters are invalid; see errors.",
            [FieldProblem(field=USER_ID_HEADER, message="is required")],
        )
    return reader


AnswerId = Annotated[RequestUuid, Path(description="The answer's id.")]
HistoryReader = Annotated[Reader, Depends(_reader)]
"""Who asks for an entry."""
Owner = Annotated[Reader, Depends(_owner)]
"""The user whose entries are meant. Without accounts, the header is required."""
Cursor = Annotated[NumberParameter | None, Query(ge=1, le=MAX_ID, description="`next_cursor` of the previous page.")]


@router.get("", responses=documentation.LISTED, dependencies=TURNED_ON)
async def list_history(
    owner: Owner,
    session: ReadSession,
    cursor: Cursor = None,
    limit: Annotated[NumberParameter, Query(ge=1, le=100)] = 20,
) -> HistoryPage:
    """List the user's own entries, newest first, one page at a time."""
    return await HistoryService(session).list(owner, cursor, limit)


@router.delete("", responses=documentation.CLEARED)
async def clear(owner: Owner, session: WriteSession) -> HistoryDeleted:
    """Permanently delete all of the user's entries."""
    return HistoryDeleted(deleted=await HistoryService(session).clear(owner))


@router.get("/{answer_id}", responses=documentation.READ, dependencies=TURNED_ON)
async def get(answer_id: AnswerId, session: ReadSession, reader: HistoryReader) -> HistoryEntry:
    """Return one of the user's own entries; without accounts also one that was stored without a user."""
    return await HistoryService(session).get(answer_id, reader)


@router.delete("/{answer_id}", status_code=204, responses=documentation.DELETED)
async def delete(answer_id: AnswerId, session: WriteSession, reader: HistoryReader) -> None:
    """Permanently delete one of the user's own entries; without accounts also one that was stored without a user."""
    await HistoryService(session).delete(answer_id, reader)
