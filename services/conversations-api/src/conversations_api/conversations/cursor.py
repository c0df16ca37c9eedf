"""Cursors: the position in a list where a page ended. They are opaque to clients."""

import base64
import hashlib
from datetime import datetime

from mh_common.errors import InvalidRequestError
from mh_common.models import Conversation, ConversationId, FieldProblem, UtcTime
from pydantic import BaseModel, ConfigDict

from conversations_api.conversations.filters import ListQuery, Sort


class Position(BaseModel):
    """The position of a page's last row: its id and, if the list is sorted by a time, that time."""

    model_config = ConfigDict(frozen=True)

    id: ConversationId
    at: UtcTime | None = None

    @classmethod
    def of(cls, conversation: Conversation, sort: Sort) -> "Position":
        """Return the position of `conversation` in a list with this sort order."""
        at: datetime | None = None if sort.field == "id" else getattr(conversation, sort.field)
        return cls(id=conversation.id, at=at)


class _Cursor(Position):
    digest: str


def encode(position: Position, query: ListQuery) -> str:
    """Return the cursor of the page after `position`; it is valid for this list only."""
    cursor = _Cursor(digest=_digest(query), **position.model_dump())
    return base64.urlsafe_b64encode(cursor.model_dump_json(exclude_none=True).encode()).rstrip(b"=").decode()


def decode(query: ListQuery) -> Position | None:
    """Return the position encoded in the query's cursor; None for the first page. Raises `InvalidRequestError`."""
    if query.cursor is None:
        return None
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        cursor = _Cursor.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise _invalid_cursor("must be the unchanged next_cursor of a page") from None
    if cursor.digest != _digest(query) or (cursor.at is None) != (query.sort.field == "id"):
        raise _invalid_cursor("belongs to a list with other filters or another sort order; start without a cursor")
    return Position(id=cursor.id, at=cursor.at)


def _invalid_cursor(message: str) -> InvalidRequestError:
    return InvalidRequestError("The cursor cannot be used.", [FieldProblem(field="cursor", message=message)])


def _digest(query: ListQuery) -> str:
    """Return a hash that identifies the list being paged through, independent of the page size."""
    # Filters that were not given are excluded, so that a release with more filters accepts the previous one's cursors.
    given = query.model_dump(mode="json", exclude={"cursor", "limit", "include_total"}, exclude_defaults=True)
    canonical = {name: sorted(value) if isinstance(value, list) else value for name, value in given.items()}
    return hashlib.sha256(repr(sorted(canonical.items())).encode()).hexdigest()[:16]
