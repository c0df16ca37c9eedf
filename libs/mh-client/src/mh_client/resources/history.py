"""Query history: users' questions, the answers and feedback.

The user is the one whose API key or session is sent, and `user_id` is ignored; except of a key that has the scope
`on-behalf-of`: then it names the person for whom it is sent. On a platform without accounts `user_id` is trusted, and
needed for lists. Users can access their own entries and those stored without a user. If
the history is disabled, every method except `delete` and `clear` raises ConflictError.
"""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final, Literal
from uuid import UUID

from mh_common.models import (
    USER_ID_HEADER,
    Feedback,
    FeedbackCreate,
    FieldProblem,
    HistoryDeleted,
    HistoryEntry,
    HistoryPage,
    Rating,
    RiskNoticeRating,
    UserId,
)
from pydantic import TypeAdapter, ValidationError

from mh_client._base import Call, validated
from mh_client._errors import InvalidInputError
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/history"
ANSWERS_PATH: Final = "/api/v1/answers"

_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)


def list_page(user_id: str | None = None, cursor: str | None = None, limit: int | None = None) -> Call[HistoryPage]:
    """Return one page (`limit` 1 to 100, default 20) of the user's own entries, newest first."""
    return Call(
        method="GET",
        path=PATH,
        params=query_params({"cursor": cursor, "limit": limit}),
        headers=_user_header(user_id),
        parse=HistoryPage.model_validate_json,
    )


def get(answer_id: UUID | str, user_id: str | None = None) -> Call[HistoryEntry]:
    """Return an entry. Raises NotFoundError, also for another user's entry."""
    return Call(
        method="GET",
        path=f"{PATH}/{_parse_answer_id(answer_id)}",
        headers=_user_header(user_id),
        parse=HistoryEntry.model_validate_json,
    )


def delete(answer_id: UUID | str, user_id: str | None = None) -> Call[None]:
    """Permanently delete an entry. Raises NotFoundError, also for another user's, or if a retry finds it deleted."""
    return Call(
        method="DELETE",
        path=f"{PATH}/{_parse_answer_id(answer_id)}",
        headers=_user_header(user_id),
        parse=lambda body: None,
    )


def clear(user_id: str | None = None) -> Call[int]:
    """Permanently delete all of the user's entries; return how many there were."""
    return Call(
        method="DELETE",
        path=PATH,
        headers=_user_header(user_id),
        parse=lambda body: HistoryDeleted.model_validate_json(body).deleted,
    )


def feedback(
    answer_id: UUID | str,
    rating: Rating | Literal["up", "down"] | None = None,
    comment: str | None = None,
    user_id: str | None = None,
    risk_notice: RiskNoticeRating | Literal["relevant", "not_relevant", "missing"] | None = None,
) -> Call[Feedback]:
    """Rate an answer, its notice of risk, or both, replacing what was said before. Raises NotFoundError like `get`."""
    values = {"rating": rating, "comment": comment, "risk_notice": risk_notice}
    given = {name: value for name, value in values.items() if value is not None}
    return Call(
        method="POST",
        path=f"{ANSWERS_PATH}/{_parse_answer_id(answer_id)}/feedback",
        content=validated(FeedbackCreate, given).model_dump_json(exclude_unset=True).encode(),
        headers=_user_header(user_id),
        parse=Feedback.model_validate_json,
    )


class History(Resource):
    """`client.history`."""

    list = sync_method(list_page)
    get = sync_method(get)
    delete = sync_method(delete)
    clear = sync_method(clear)
    feedback = sync_method(feedback)

    def iterate(self, user_id: str | None = None) -> Iterator[HistoryEntry]:
        """Iterate over all entries of the user, newest first, requesting pages as needed."""
        for page in pages(self._sender, partial(list_page, user_id)):
            yield from page.items


class AsyncHistory(AsyncResource):
    """`client.history` of `AsyncClient`."""

    list = async_method(list_page)
    get = async_method(get)
    delete = async_method(delete)
    clear = async_method(clear)
    feedback = async_method(feedback)

    async def iterate(self, user_id: str | None = None) -> AsyncIterator[HistoryEntry]:
        """Iterate over all entries of the user, newest first, requesting pages as needed."""
        async for page in pages_async(self._sender, partial(list_page, user_id)):
            for entry in page.items:
                yield entry


def _user_header(user_id: str | None) -> dict[str, str]:
    if user_id is None:
        return {}
    try:
        return {USER_ID_HEADER: _USER_ID.validate_python(user_id)}
    except ValidationError:
        message = "must be 1 to 128 visible ASCII characters"
        raise InvalidInputError([FieldProblem(field="user_id", message=message)]) from None


def _parse_answer_id(answer_id: UUID | str) -> UUID:
    try:
        return UUID(str(answer_id))
    except ValueError:
        raise InvalidInputError([FieldProblem(field="answer_id", message="must be a UUID")]) from None
