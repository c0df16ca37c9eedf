"""GET /documents."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from rag_api.dependencies import Conversations, Doors
from rag_api.doors.details import DetailRoute, detail_responses
from rag_api.doors.documents import service
from rag_api.doors.documents.models import Document, Documents, DocumentsQuery
from rag_api.doors.links import base_url

router = APIRouter(tags=["doors"], route_class=DetailRoute)


@router.get("/documents", summary="List all conversations, for tools", responses=detail_responses(422, 503))
async def list_documents(
    query: Annotated[DocumentsQuery, Query()], conversations: Conversations, doors: Doors, request: Request
) -> Documents:
    """Return the conversations a page at a time, as GET /api/v1/conversations does, whether they are indexed or not.

    No conversation comes twice or is left out while others are added.
    """
    page = await service.page(conversations, query)
    base = base_url(request, doors.public_url)
    documents = [Document.of(row, base) for row in page.items]
    return Documents(documents=documents, next_cursor=page.next_cursor, total=page.total)
