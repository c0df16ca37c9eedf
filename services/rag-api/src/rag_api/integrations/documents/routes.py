"""GET /documents."""

from typing import Annotated

from fastapi import APIRouter, Query
from mh_common.auth.roles import Scope
from mh_common.web.access import requires

from rag_api.dependencies import State
from rag_api.integrations.documents import service
from rag_api.integrations.documents.models import Document, Documents, DocumentsQuery
from rag_api.integrations.fastapi_errors import FastAPIErrorRoute, error_detail_responses
from rag_api.integrations.links import PublicUrl

router = APIRouter(
    tags=["integrations"], route_class=FastAPIErrorRoute, dependencies=[requires(Scope.CONVERSATIONS_READ)]
)


@router.get(
    "/documents",
    summary="List all conversations (for tools)",
    responses=error_detail_responses(401, 403, 422, 503),
)
async def list_documents(query: Annotated[DocumentsQuery, Query()], state: State, public_url: PublicUrl) -> Documents:
    """Return a page of conversations, like GET /api/v1/conversations, whether they are indexed or not.

    Paging is stable: adding conversations neither repeats nor skips others.
    """
    page = await service.page(state.conversations, query)
    documents = [Document.of(row, public_url) for row in page.items]
    return Documents(documents=documents, next_cursor=page.next_cursor, total=page.total)
