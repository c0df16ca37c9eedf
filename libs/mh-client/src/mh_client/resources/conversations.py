"""Conversations: add, read, change, delete, list, export."""

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Final, Literal, Unpack

from mh_common.models import (
    BulkCreate,
    BulkCreated,
    BulkDelete,
    BulkDeleted,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    ConversationUpdate,
    IndexState,
    Sentiment,
)

from mh_client._base import IDEMPOTENCY_KEY, Call, validated
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, asynchronous, sync
from mh_client.resources._fields import Details, FieldFilters, SentimentName
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/conversations"

Sort = Literal["id", "-id", "created_at", "-created_at", "updated_at", "-updated_at"]
ExportFormat = Literal["csv", "jsonl"]


class Filters(FieldFilters, total=False):
    """Which conversations; `q`: those with all of these words. None is the same as left out."""

    q: str | None


class IterateQuery(Filters, total=False):
    """Filters, order, and `limit`: the rows of one page, 1 to 200."""

    cursor: str | None
    limit: int | None
    sort: Sort | None


class ListQuery(IterateQuery, total=False):
    """What a list takes; `include_total` counts all rows that match, which costs a second query."""

    include_total: bool | None


class ExportQuery(Filters, total=False):
    """Filters and the format (default csv)."""

    format: ExportFormat


class Changes(Details, total=False):
    """The fields of a conversation to change."""

    question: str
    answer: str
    question_sentiment: Sentiment | SentimentName
    answer_sentiment: Sentiment | SentimentName


def create(
    *,
    question: str,
    answer: str,
    question_sentiment: Sentiment | SentimentName,
    answer_sentiment: Sentiment | SentimentName,
    idempotency_key: str | None = None,
    **details: Unpack[Details],
) -> Call[Conversation]:
    """Add a conversation. The same key never adds it twice; without one, each call makes its own for its retries."""
    values = {
        "question": question,
        "answer": answer,
        "question_sentiment": question_sentiment,
        "answer_sentiment": answer_sentiment,
        **details,
    }
    return Call(
        method="POST",
        path=PATH,
        content=validated(ConversationCreate, values).model_dump_json(exclude_none=True).encode(),
        headers=_key(idempotency_key),
        parse=Conversation.model_validate_json,
    )


def get(conversation_id: int) -> Call[Conversation]:
    """Return one conversation. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{conversation_id:d}", parse=Conversation.model_validate_json)


def replace(
    conversation_id: int,
    *,
    question: str,
    answer: str,
    question_sentiment: Sentiment | SentimentName,
    answer_sentiment: Sentiment | SentimentName,
    if_match: int | str | None = None,
    **details: Unpack[Details],
) -> Call[Conversation]:
    """Replace a conversation's whole content; details that are not given are cleared.

    `if_match` is the version (or ETag) that the change is meant for: raises PreconditionFailedError when another is the
    present one. After a lost answer the retry can meet the version that the first attempt made, and raise that too.
    """
    values = {
        "question": question,
        "answer": answer,
        "question_sentiment": question_sentiment,
        "answer_sentiment": answer_sentiment,
        **details,
    }
    return Call(
        method="PUT",
        path=f"{PATH}/{conversation_id:d}",
        content=validated(ConversationCreate, values).model_dump_json(exclude_none=True).encode(),
        headers=_if_match(if_match),
        parse=Conversation.model_validate_json,
    )


def update(
    conversation_id: int, *, if_match: int | str | None = None, **changes: Unpack[Changes]
) -> Call[Conversation]:
    """Change the fields given; the others stay, and None clears a detail. `if_match` as in `replace`."""
    content = validated(ConversationUpdate, changes).model_dump_json(exclude_unset=True)
    return Call(
        method="PATCH",
        path=f"{PATH}/{conversation_id:d}",
        content=content.encode(),
        headers=_if_match(if_match),
        parse=Conversation.model_validate_json,
    )


def delete(conversation_id: int, *, if_match: int | str | None = None) -> Call[None]:
    """Delete a conversation. Raises NotFoundError, also after a lost first attempt; `if_match` as above."""
    return Call(
        method="DELETE",
        path=f"{PATH}/{conversation_id:d}",
        headers=_if_match(if_match),
        parse=_nothing,
    )


def bulk_create(items: Sequence[ConversationCreate], *, idempotency_key: str | None = None) -> Call[list[int]]:
    """Add 1 to 1000 conversations, all or none; returns their ids in the same order. Keys as in `create`."""
    return Call(
        method="POST",
        path=f"{PATH}/bulk",
        content=validated(BulkCreate, {"items": items}).model_dump_json(exclude_none=True).encode(),
        headers=_key(idempotency_key),
        parse=lambda body: BulkCreated.model_validate_json(body).ids,
    )


def bulk_delete(ids: Sequence[int], *, idempotency_key: str | None = None) -> Call[int]:
    """Delete 1 to 1000 conversations; returns how many of them existed."""
    return Call(
        method="POST",
        path=f"{PATH}/bulk-delete",
        content=validated(BulkDelete, {"ids": ids}).model_dump_json().encode(),
        headers=_key(idempotency_key),
        parse=lambda body: BulkDeleted.model_validate_json(body).deleted,
    )


def list_page(**query: Unpack[ListQuery]) -> Call[ConversationPage]:
    """Return one page (`limit` 1 to 200, default 50); its `next_cursor`, given as `cursor`, returns the next."""
    return Call(method="GET", path=PATH, params=query_params(query), parse=ConversationPage.model_validate_json)


def export(**query: Unpack[ExportQuery]) -> Call[bytes]:
    """Yield the conversations that match as bytes of a CSV or JSON Lines file, as they arrive."""
    return Call(method="GET", path=f"{PATH}/export", params=query_params(query), headers={"Accept": "*/*"}, parse=bytes)


def stats() -> Call[ConversationStats]:
    """Count the data set by sentiment, month and index state."""
    return Call(method="GET", path=f"{PATH}/stats", parse=ConversationStats.model_validate_json)


def index_state(conversation_id: int) -> Call[IndexState]:
    """Return how far the vector index is with one conversation. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{conversation_id:d}/index-state", parse=IndexState.model_validate_json)


class Conversations(Resource):
    """`client.conversations`."""

    create = sync(create)
    get = sync(get)
    replace = sync(replace)
    update = sync(update)
    delete = sync(delete)
    bulk_create = sync(bulk_create)
    bulk_delete = sync(bulk_delete)
    list = sync(list_page)
    stats = sync(stats)
    index_state = sync(index_state)

    def iterate(self, **query: Unpack[IterateQuery]) -> Iterator[Conversation]:
        """Yield every conversation that matches, page after page."""
        for page in pages(self._sender, partial(_page_at, query), query.get("cursor")):
            yield from page.items

    def export(self, **query: Unpack[ExportQuery]) -> Iterator[bytes]:
        """Yield a CSV or JSON Lines file of the conversations that match, in pieces, as they arrive."""
        return self._sender.stream(export(**query))


class AsyncConversations(AsyncResource):
    """`client.conversations` of the AsyncClient."""

    create = asynchronous(create)
    get = asynchronous(get)
    replace = asynchronous(replace)
    update = asynchronous(update)
    delete = asynchronous(delete)
    bulk_create = asynchronous(bulk_create)
    bulk_delete = asynchronous(bulk_delete)
    list = asynchronous(list_page)
    stats = asynchronous(stats)
    index_state = asynchronous(index_state)

    async def iterate(self, **query: Unpack[IterateQuery]) -> AsyncIterator[Conversation]:
        """Yield every conversation that matches, page after page."""
        async for page in pages_async(self._sender, partial(_page_at, query), query.get("cursor")):
            for conversation in page.items:
                yield conversation

    def export(self, **query: Unpack[ExportQuery]) -> AsyncIterator[bytes]:
        """Yield a CSV or JSON Lines file of the conversations that match, in pieces, as they arrive."""
        return self._sender.stream(export(**query))


def _page_at(query: IterateQuery, cursor: str | None) -> Call[ConversationPage]:
    page: IterateQuery = {**query, "cursor": cursor}
    return list_page(**page)


def _key(given: str | None) -> dict[str, str]:
    return {IDEMPOTENCY_KEY: given or str(uuid.uuid4())}


def _if_match(given: int | str | None) -> dict[str, str]:
    if given is None:
        return {}
    return {"If-Match": f'"{given}"' if isinstance(given, int) else given}


def _nothing(body: bytes) -> None:
    return None
