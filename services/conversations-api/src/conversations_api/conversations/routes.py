"""Routes of conversations. Fixed paths must come before paths with an id."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from mh_common.auth.roles import Scope
from mh_common.models import (
    MAX_ID,
    BulkCreate,
    BulkCreated,
    BulkDelete,
    BulkDeleted,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    ConversationUpdate,
    ImportUndo,
    ImportUndone,
    IndexStatus,
    NumberParameter,
    RowOutcome,
)
from mh_common.web.access import CurrentPrincipal, GuardedRoute, requires

from conversations_api.conversations import documentation, export
from conversations_api.conversations.editing import Editor
from conversations_api.conversations.etags import etag_of, is_unmodified
from conversations_api.conversations.filters import ExportQuery, ListQuery
from conversations_api.conversations.import_service import ImportService
from conversations_api.conversations.service import ConversationService, export_pages
from conversations_api.dependencies import ActsFor, IdempotencyKey, ReadSession, ReadSessions, WriteSession, state_of
from conversations_api.idempotency.repository import IdempotentResult, KeyedRequest

PREFIX: Final = "/api/v1/conversations"
JSON: Final = "application/json"

router = APIRouter(route_class=GuardedRoute, prefix=PREFIX, tags=["conversations"])

READ: Final = requires(Scope.CONVERSATIONS_READ)
WRITE: Final = requires(Scope.CONVERSATIONS_WRITE)
DELETE: Final = requires(Scope.CONVERSATIONS_DELETE)
EXPORT: Final = requires(Scope.CONVERSATIONS_READ, Scope.CONVERSATIONS_EXPORT)

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The conversation's id.")]
IfMatch = Annotated[
    list[str] | None, Header(description='Change only if the current version is this one: `"3"` or `"3-indexed"`.')
]
IfNoneMatch = Annotated[list[str] | None, Header(description="Return 304 if this is still the current representation.")]


async def _editor(request: Request, principal: CurrentPrincipal) -> Editor:
    return Editor.of(principal, keeps_versions=state_of(request).keeps_versions)


Editing = Annotated[Editor, Depends(_editor)]
"""Who makes the changes of a request."""


@router.post("", status_code=201, response_model=Conversation, responses=documentation.CREATED, dependencies=[WRITE])
async def create(
    content: Annotated[ConversationCreate, Body(openapi_examples=documentation.NEW)],
    session: WriteSession,
    principal: CurrentPrincipal,
    acts_for: ActsFor,
    editor: Editing,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add a conversation. Search finds it moments later."""
    request = KeyedRequest.of(idempotency_key, f"POST {PREFIX}", content, principal.user_id, acts_for)
    result = await ConversationService(session, editor).add([content], request)
    created = Conversation(
        id=result.ids[0],
        version=1,
        created_at=result.at,
        updated_at=result.at,
        index_status=IndexStatus.PENDING,
        created_by=editor.user_id,
        updated_by=editor.user_id,
        origin=editor.origin,
        **dict(content),
    )
    response = conversation_response(created, 201)
    response.headers["Location"] = f"{PREFIX}/{created.id}"
    _set_replayed_header(response, result)
    return response


@router.get("", response_model=ConversationPage, responses=documentation.LISTED, dependencies=[READ])
async def list_conversations(query: Annotated[ListQuery, Query()], session: ReadSession) -> Response:
    """List conversations, one page at a time. No row is repeated or skipped while others are added."""
    page = await ConversationService(session).list(query)
    return Response(page.model_dump_json(exclude_unset=True), media_type=JSON)


@router.post("/bulk", status_code=201, responses=documentation.BULK_CREATED, dependencies=[WRITE])
async def create_many(
    bulk: Annotated[BulkCreate, Body(openapi_examples=documentation.NEW_ROWS)],
    session: WriteSession,
    response: Response,
    principal: CurrentPrincipal,
    acts_for: ActsFor,
    editor: Editing,
    idempotency_key: IdempotencyKey = None,
) -> BulkCreated:
    """Add up to 1,000 conversations: all of them or, if one is invalid, none.

    `on_duplicate` says what becomes of rows that are there already. `dry_run` only says what would become of each row.
    """
    if bulk.dry_run:
        response.status_code = 200
        return BulkCreated(ids=[], outcomes=list(await ImportService(session).preview(bulk)))
    request = KeyedRequest.of(idempotency_key, f"POST {PREFIX}/bulk", bulk, principal.user_id, acts_for)
    result = await ImportService(session, editor).add(bulk, request)
    _set_replayed_header(response, result)
    outcomes = result.outcomes or [RowOutcome.ADDED] * len(result.ids)
    return BulkCreated(ids=list(result.ids), outcomes=[RowOutcome(one) for one in outcomes])


@router.post("/bulk-delete", responses=documentation.BULK_DELETED, dependencies=[DELETE])
async def delete_many(
    bulk: Annotated[BulkDelete, Body(openapi_examples=documentation.IDS)],
    session: WriteSession,
    response: Response,
    principal: CurrentPrincipal,
    acts_for: ActsFor,
    idempotency_key: IdempotencyKey = None,
) -> BulkDeleted:
    """Delete up to 1,000 conversations. Ids that do not exist are ignored."""
    request = KeyedRequest.of(idempotency_key, f"POST {PREFIX}/bulk-delete", bulk, principal.user_id, acts_for)
    result = await ConversationService(session).delete_many(bulk.ids, request)
    _set_replayed_header(response, result)
    return BulkDeleted(deleted=len(result.ids))


@router.post("/undo-import", responses=documentation.UNDONE, dependencies=[DELETE])
async def undo_import(
    undo: Annotated[ImportUndo, Body(openapi_examples=documentation.TAG)],
    session: WriteSession,
    principal: CurrentPrincipal,
    acts_for: ActsFor,
    idempotency_key: IdempotencyKey = None,
) -> ImportUndone:
    """Take an import back: delete up to 1,000 of the conversations that it added. Repeat it until none is remaining.

    Conversations that were edited since are kept unless `edited` is true. Those that the import updated keep what it
    gave them. The answer names both.
    """
    request = KeyedRequest.of(idempotency_key, f"POST {PREFIX}/undo-import", undo, principal.user_id, acts_for)
    return await ImportService(session).undo(undo, request)


@router.get("/export", response_class=StreamingResponse, responses=documentation.EXPORTED, dependencies=[EXPORT])
async def export_conversations(query: Annotated[ExportQuery, Query()], sessions: ReadSessions) -> StreamingResponse:
    """Download all conversations that match the filters, as a file that can be imported again."""
    pages = export_pages(sessions, query)
    # Errors before the first byte can still be returned as a problem document.
    first = await anext(pages)
    return StreamingResponse(
        export.lines(first, pages, query.format, raw=query.raw),
        media_type=export.MEDIA_TYPES[query.format],
        headers={"Content-Disposition": f'attachment; filename="conversations.{query.format}"'},
    )


@router.get("/stats", responses=documentation.COUNTED, dependencies=[READ])
async def stats(session: ReadSession) -> ConversationStats:
    """Count conversations per sentiment, pair of sentiments, month, index status, risk level, advice and review."""
    return await ConversationService(session).stats()


@router.get("/{conversation_id}", response_model=Conversation, responses=documentation.READ, dependencies=[READ])
async def get(conversation_id: Id, session: ReadSession, if_none_match: IfNoneMatch = None) -> Response:
    """Return a conversation."""
    conversation = await ConversationService(session).get(conversation_id)
    headers = {"ETag": etag_of(conversation)}
    if is_unmodified(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(conversation.model_dump_json(), headers=headers, media_type=JSON)


@router.put("/{conversation_id}", response_model=Conversation, responses=documentation.CHANGED, dependencies=[WRITE])
async def replace(
    conversation_id: Id,
    content: Annotated[ConversationCreate, Body(openapi_examples=documentation.NEW)],
    session: WriteSession,
    editor: Editing,
    if_match: IfMatch = None,
) -> Response:
    """Replace a conversation's content. Identical content changes nothing."""
    service = ConversationService(session, editor)
    return conversation_response(await service.replace(conversation_id, content, if_match))


@router.patch("/{conversation_id}", response_model=Conversation, responses=documentation.CHANGED, dependencies=[WRITE])
async def update(
    conversation_id: Id,
    change: Annotated[ConversationUpdate, Body(openapi_examples=documentation.CHANGE)],
    session: WriteSession,
    editor: Editing,
    if_match: IfMatch = None,
) -> Response:
    """Change some fields of a conversation; omitted fields keep their values."""
    service = ConversationService(session, editor)
    return conversation_response(await service.update(conversation_id, change, if_match))


@router.delete("/{conversation_id}", status_code=204, responses=documentation.DELETED, dependencies=[DELETE])
async def delete(conversation_id: Id, session: WriteSession, if_match: IfMatch = None) -> None:
    """Delete a conversation. Search stops finding it moments later."""
    await ConversationService(session).delete(conversation_id, if_match)


def conversation_response(conversation: Conversation, status: int = 200) -> Response:
    """Return a response with the conversation. Serialised here because FastAPI would validate it once more."""
    return Response(conversation.model_dump_json(), status, {"ETag": etag_of(conversation)}, JSON)


def _set_replayed_header(response: Response, result: IdempotentResult) -> None:
    if result.replayed:
        response.headers["Idempotent-Replayed"] = "true"
