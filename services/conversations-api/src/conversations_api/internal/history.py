"""Routes for rag-api: storing answers and the feedback on them."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from mh_common.auth.outside_users import outside_id
from mh_common.auth.roles import Scope
from mh_common.models import INTERNAL_HISTORY, Feedback, FeedbackCreate, HistoryEntry, HistoryEntryCreate
from mh_common.web.access import CurrentPrincipal, GuardedRoute, requires

from conversations_api.dependencies import WriteSession
from conversations_api.history import documentation
from conversations_api.history.routes import TURNED_ON, AnswerId, HistoryReader
from conversations_api.history.service import HistoryService, Reader

router = APIRouter(
    route_class=GuardedRoute, prefix=INTERNAL_HISTORY, tags=["internal"], dependencies=[requires(Scope.ANSWERS)]
)


@router.post("", status_code=201, responses=documentation.ADDED, dependencies=TURNED_ON)
async def add(
    content: Annotated[HistoryEntryCreate, Body(openapi_examples=documentation.NEW)],
    session: WriteSession,
    principal: CurrentPrincipal,
    response: Response,
) -> HistoryEntry:
    """Store an answer. Storing it again returns 200 and changes nothing.

    It belongs to the caller or, if that may act for others, to the person whose id `user_id` is.
    """
    reader = Reader.of(principal, outside_id(principal, content.user_id))
    entry, new = await HistoryService(session).add(content, reader)
    response.status_code = 201 if new else 200
    return entry


@router.put("/{answer_id}/feedback", responses=documentation.RATED, dependencies=TURNED_ON)
async def set_feedback(
    answer_id: AnswerId,
    content: Annotated[FeedbackCreate, Body(openapi_examples=documentation.NEW_FEEDBACK)],
    session: WriteSession,
    reader: HistoryReader,
) -> Feedback:
    """Store feedback on an answer, replacing earlier feedback."""
    return await HistoryService(session).set_feedback(answer_id, reader, content)
