"""Pages of conversations from the conversations API."""

from mh_client import AsyncClient, BadRequestError, MHError
from mh_common.errors import InvalidRequestError
from mh_common.models import ConversationPage, FieldProblem

from rag_api.api_calls import to_domain_error
from rag_api.integrations.documents.models import DocumentsQuery


async def page(conversations: AsyncClient, query: DocumentsQuery) -> ConversationPage:
    """Return the requested page.

    Raises:
        InvalidRequestError: the cursor is not a next_cursor of an earlier page.
        UnavailableError: the conversations API is down.
        AuthenticationError, PermissionDeniedError: it refuses the caller's credential.
    """
    try:
        return await conversations.conversations.list(
            limit=query.limit, cursor=query.cursor, include_total=query.include_total
        )
    except BadRequestError as error:
        # The cursor is the only part of the request that comes from the caller unchecked.
        wrong = FieldProblem(field="cursor", message="must be the unchanged next_cursor of a previous page")
        raise InvalidRequestError("The cursor is invalid.", [wrong]) from error
    except MHError as error:
        raise to_domain_error(error) from error
