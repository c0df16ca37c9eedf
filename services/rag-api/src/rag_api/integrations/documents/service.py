"""A page of the conversations API's list."""

from mh_client import AsyncClient, BadRequestError, MHError
from mh_common.errors import InvalidRequestError
from mh_common.models import ConversationPage, FieldProblem

from rag_api.integrations.documents.models import DocumentsQuery
from rag_api.search.hydration import unavailable


async def page(conversations: AsyncClient, query: DocumentsQuery) -> ConversationPage:
    """Return the page that is asked for.

    Raises:
        InvalidRequestError: the cursor is none that a page gave.
        UnavailableError: the conversations API is down.
    """
    try:
        return await conversations.conversations.list(
            limit=query.limit, cursor=query.cursor, include_total=query.include_total
        )
    except BadRequestError as error:
        # All else in the request is from here.
        wrong = FieldProblem(field="cursor", message="must be the next_cursor of a page, unchanged")
        raise InvalidRequestError("The cursor cannot be used.", [wrong]) from error
    except MHError as error:
        raise unavailable(error) from error
