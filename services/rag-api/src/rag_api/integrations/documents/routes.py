"""GET /documents."""

from typing import Annotated

from fastapi import APIRouter, Query

from rag_api.dependencies import State
from rag_api.integrations.detail_errors import DetailRoute, detail_responses
from rag_api.integrations.documents import service
from rag_api.integrations.documents.models import Document, Documents, DocumentsQuery
from rag_api.integrations.links import PublicUrl

router = APIRouter(tags=["integrations"], route_class=DetailRoute)


@router.get("/documents", summary="List all conversations, for tools", responses=detail_responses(422, 503))
async def list_documents(query: Annotated[DocumentsQuery, Query()], state: State, public_url: PublicUrl) -> Documents:
    """Return the conversations a page at a time, as GET /api/v1/conversations does, whether they are indexed or not.

    No conversation comes twice or is left out while others are added.
    """
    page = await service.page(state.conversations, query)
    documents = [Document.of(row, public_url) for row in page.items]
    return Documents(documents=documents, next_cursor=page.next_cursor, total=page.total)
