"""Routes of reviews, and of earlier versions of conversations."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query, Response
from mh_common.models import (
    BulkReview,
    BulkReviewed,
    Conversation,
    ConversationReview,
    ConversationVersion,
    ConversationVersionPage,
    NumberParameter,
)
from mh_common.web.access import GuardedRoute

from conversations_api.conversations import documentation
from conversations_api.conversations.routes import PREFIX, READ, WRITE, Editing, Id, IfMatch, conversation_response
from conversations_api.conversations.service import ConversationService
from conversations_api.dependencies import ReadSession, WriteSession

MAX_VERSION: Final = 2**31 - 1

router = APIRouter(route_class=GuardedRoute, prefix=PREFIX, tags=["conversations"])

Number = Annotated[NumberParameter, Path(ge=1, le=MAX_VERSION, description="The version's number.")]
Cursor = Annotated[NumberParameter, Query(ge=1, le=MAX_VERSION, description="`next_cursor` of the previous page.")]


@router.post("/bulk-review", responses=documentation.BULK_REVIEWED, dependencies=[WRITE])
async def review_many(
    bulk: Annotated[BulkReview, Body(openapi_examples=documentation.REVIEWS)], session: WriteSession, editor: Editing
) -> BulkReviewed:
    """Approve or reject up to 1,000 conversations, or take that back. Ids that do not exist are ignored."""
    return await ConversationService(session, editor).review_many(bulk.ids, bulk.review_state)


@router.put(
    "/{conversation_id}/review", response_model=Conversation, responses=documentation.CHANGED, dependencies=[WRITE]
)
async def review(
    conversation_id: Id,
    decision: Annotated[ConversationReview, Body(openapi_examples=documentation.REVIEW)],
    session: WriteSession,
    editor: Editing,
    if_match: IfMatch = None,
) -> Response:
    """Approve or reject a conversation, or take that back. It makes no new version.

    With If-Match it is the version that you read which is reviewed. A change of question or answer takes a decision
    back.
    """
    service = ConversationService(session, editor)
    return conversation_response(await service.review(conversation_id, decision.review_state, if_match))


@router.get("/{conversation_id}/versions", responses=documentation.VERSIONS, dependencies=[READ])
async def list_versions(
    conversation_id: Id,
    session: ReadSession,
    cursor: Cursor | None = None,
    limit: Annotated[NumberParameter, Query(ge=1, le=100, description="Most versions on the page.")] = 20,
) -> ConversationVersionPage:
    """List what a conversation was in each of its versions, newest first, beginning with the current one.

    Versions of the time before this release are missing, and all but the current one with
    `CONVERSATIONS_KEEP_VERSIONS=false`.
    """
    return await ConversationService(session).versions(conversation_id, cursor, limit)


@router.get("/{conversation_id}/versions/{version}", responses=documentation.VERSION, dependencies=[READ])
async def get_version(conversation_id: Id, version: Number, session: ReadSession) -> ConversationVersion:
    """Return what a conversation was in one of its versions."""
    return await ConversationService(session).version(conversation_id, version)


@router.post(
    "/{conversation_id}/versions/{version}/restore",
    response_model=Conversation,
    responses=documentation.RESTORED,
    dependencies=[WRITE],
)
async def restore_version(
    conversation_id: Id, version: Number, session: WriteSession, editor: Editing, if_match: IfMatch = None
) -> Response:
    """Give a conversation the content of one of its versions. This makes a new version; none is lost."""
    service = ConversationService(session, editor)
    return conversation_response(await service.restore(conversation_id, version, if_match))
