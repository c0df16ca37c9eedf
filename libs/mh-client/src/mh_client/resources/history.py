"""Query history: what users asked and were answered, and their feedback.

`user_id` is whom the platform takes the caller for: it believes it. A user reaches entries of their own, and those
stored without a user. Every method but `delete` and `clear` raises ConflictError where the history is turned off.
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
    UserId,
)
from pydantic import TypeAdapter, ValidationError

from mh_client._base import Call, validated
from mh_client._errors import InvalidInputError
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, asynchronous, sync
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/history"
ANSWERS_PATH: Final = "/api/v1/answers"

_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)


def list_page(user_id: str, cursor: str | None = None, limit: int | None = None) -> Call[HistoryPage]:
    """Return one page (`limit` 1 to 100, default 20) of the user's own entries, newest first."""
    return Call(
        method="GET",
        path=PATH,
        params=query_params({"cursor": cursor, "limit": limit}),
        headers=_as(user_id),
        parse=HistoryPage.model_validate_json,
    )


def get(answer_id: UUID | str, user_id: str | None = None) -> Call[HistoryEntry]:
    """Return an entry. Raises NotFoundError, also for another user's."""
    return Call(
        method="GET", path=f"{PATH}/{_key(answer_id)}", headers=_as(user_id), parse=HistoryEntry.model_validate_json
    )


def delete(answer_id: UUID | str, user_id: str | None = None) -> Call[None]:
    """Delete an entry for good. Raises NotFoundError, also for another user's, and after a lost first attempt."""
    return Call(method="DELETE", path=f"{PATH}/{_key(answer_id)}", headers=_as(user_id), parse=lambda body: None)


def clear(user_id: str) -> Call[int]:
    """Delete all of the user's entries for good; returns how many there were."""
    return Call(
        method="DELETE",
        path=PATH,
        headers=_as(user_id),
        parse=lambda body: HistoryDeleted.model_validate_json(body).deleted,
    )


def feedback(
    answer_id: UUID | str,
    rating: Rating | Literal["up", "down"],
    comment: str | None = None,
    user_id: str | None = None,
) -> Call[Feedback]:
    """Say whether an answer helped, in the place of what was said before. Raises NotFoundError as `get` does."""
    return Call(
        method="POST",
        path=f"{ANSWERS_PATH}/{_key(answer_id)}/feedback",
        content=validated(FeedbackCreate, {"rating": rating, "comment": comment}).model_dump_json().encode(),
        headers=_as(user_id),
        parse=Feedback.model_validate_json,
    )


class History(Resource):
    """`client.history`."""

    list = sync(list_page)
    get = sync(get)
    delete = sync(delete)
    clear = sync(clear)
    feedback = sync(feedback)

    def iterate(self, user_id: str) -> Iterator[HistoryEntry]:
        """Yield every entry of the user, newest first, page after page."""
        for page in pages(self._sender, partial(list_page, user_id)):
            yield from page.items


class AsyncHistory(AsyncResource):
    """`client.history` of the AsyncClient."""

    list = asynchronous(list_page)
    get = asynchronous(get)
    delete = asynchronous(delete)
    clear = asynchronous(clear)
    feedback = asynchronous(feedback)

    async def iterate(self, user_id: str) -> AsyncIterator[HistoryEntry]:
        """Yield every entry of the user, newest first, page after page."""
        async for page in pages_async(self._sender, partial(list_page, user_id)):
            for entry in page.items:
                yield entry


def _as(user_id: str | None) -> dict[str, str]:
    if user_id is None:
        return {}
    try:
        return {USER_ID_HEADER: _USER_ID.validate_python(user_id)}
    except ValidationError:
        message = "must be 1 to 128 visible ASCII characters"
        raise InvalidInputError([FieldProblem(field="user_id", message=message)]) from None


def _key(answer_id: UUID | str) -> UUID:
    try:
        return UUID(str(answer_id))
    except ValueError:
        raise InvalidInputError([FieldProblem(field="answer_id", message="must be a UUID")]) from None
