"""Routes for the index state of conversations, and for queueing them for indexing."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from mh_common.auth.roles import Scope
from mh_common.models import (
    MAX_ID,
    IndexFailurePage,
    IndexQueue,
    IndexQueued,
    IndexState,
    IndexSummary,
    NumberParameter,
)
from mh_common.units import CONVERSATION
from mh_common.web.access import GuardedRoute, requires

from conversations_api.conversations import index_documentation as documentation
from conversations_api.conversations.index_service import ConversationIndexService
from conversations_api.dependencies import ReadSession, Sources, WriteSession, WriteSessions
from conversations_api.units.service import retry_failed

router = APIRouter(
    route_class=GuardedRoute, prefix="/api/v1", tags=["index"], dependencies=[requires(Scope.INDEX_OPERATE)]
)

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The conversation's id.")]
Cursor = Annotated[NumberParameter, Query(ge=0, le=MAX_ID, description="`next_cursor` of the previous page.")]


@router.get("/conversations/{conversation_id}/index-state", responses=documentation.STATE)
async def get_index_state(conversation_id: Id, session: ReadSession, sources: Sources) -> IndexState:
    """Return whether search finds the conversation's current version, and if not, since when and why."""
    return await ConversationIndexService(session, sources).get(conversation_id)


@router.post("/conversations/{conversation_id}/reindex", status_code=202, responses=documentation.REINDEXED)
async def reindex(conversation_id: Id, session: WriteSession, sources: Sources) -> IndexState:
    """Queue a conversation for indexing. Until it is done, search keeps finding what it found before."""
    return await ConversationIndexService(session, sources).reindex(conversation_id)


@router.get("/index/summary", responses=documentation.SUMMARY)
async def get_summary(session: ReadSession, sources: Sources) -> IndexSummary:
    """Return how much of the data set is indexed, and why indexing failed where it did."""
    return await ConversationIndexService(session, sources).summary()


@router.get("/index/failures", responses=documentation.FAILURES)
async def list_failures(
    session: ReadSession,
    sources: Sources,
    cursor: Cursor = 0,
    limit: Annotated[NumberParameter, Query(ge=1, le=200)] = 50,
) -> IndexFailurePage:
    """List the conversations whose indexing failed, one page at a time, by id."""
    return await ConversationIndexService(session, sources).failures(cursor, limit)


@router.post("/index/queue", status_code=202, responses=documentation.QUEUED)
async def queue(
    request: Annotated[IndexQueue, Body(openapi_examples=documentation.IDS)], session: WriteSession, sources: Sources
) -> IndexQueued:
    """Queue conversations for indexing; those that do not exist are deleted from the index."""
    return IndexQueued(queued=await ConversationIndexService(session, sources).queue(request.ids))


@router.post("/index/retry", status_code=202, responses=documentation.RETRIED)
async def retry(sessions: WriteSessions, sources: Sources) -> IndexQueued:
    """Queue every conversation whose indexing failed. An interrupted call can be repeated."""
    return IndexQueued(queued=await retry_failed(sessions, sources, CONVERSATION))
