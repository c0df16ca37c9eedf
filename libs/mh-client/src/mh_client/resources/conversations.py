"""Conversations: create, read, update, delete, list, export."""

import builtins
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, Unpack

from mh_common.models import (
    BulkDelete,
    BulkDeleted,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    ConversationUpdate,
    ImportUndo,
    ImportUndone,
    IndexState,
    OnDuplicate,
    Sentiment,
)

from mh_client._base import IDEMPOTENCY_KEY, Call, if_match_header, validated
from mh_client._export_parquet import parquet, parquet_async
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._bulk import Items, OnDuplicateName, bulk_calls, bulk_options, rows_counted_from
from mh_client.resources._fields import Details, FieldFilters, SentimentName
from mh_client.resources._frames import frame_of, load_pandas
from mh_client.resources._params import query_params
from mh_client.resources._signatures import named_arguments
from mh_client.resources.reviews import bulk_review, restore, review, version, versions

PATH: Final = "/api/v1/conversations"

Sort = Literal["id", "-id", "created_at", "-created_at", "updated_at", "-updated_at"]
ExportFormat = Literal["csv", "jsonl", "parquet"]


class Filters(FieldFilters, total=False):
    """Filters; `q` finds conversations that contain all of these words. None means no filter."""

    q: str | None


class IterateQuery(Filters, total=False):
    """Filters, sort order, and `limit`: the page size, 1 to 200."""

    cursor: str | None
    limit: int | None
    sort: Sort | None


class ListQuery(IterateQuery, total=False):
    """Parameters of a list; `include_total` counts all matching conversations, which takes a second query."""

    include_total: bool | None


class ExportQuery(Filters, total=False):
    """Filters and the format (default csv); `raw` writes CSV cells that a spreadsheet would run as they are."""

    format: ExportFormat
    raw: bool | None


class Changes(Details, total=False):
    """The fields of a conversation to change."""

    question: str
    answer: str
    question_sentiment: Sentiment | SentimentName
    answer_sentiment: Sentiment | SentimentName


Content = ConversationCreate | Mapping[str, Any]
"""A conversation to create: the model, or a dictionary with its fields."""


def create(
    content: Content | None = None,
    /,
    *,
    question: str | None = None,
    answer: str | None = None,
    question_sentiment: Sentiment | SentimentName | None = None,
    answer_sentiment: Sentiment | SentimentName | None = None,
    idempotency_key: str | None = None,
    **details: Unpack[Details],
) -> Call[Conversation]:
    """Create a conversation, given as a whole or by its fields, which go before those of `content`.

    The same key never creates it twice; by default each call generates one.
    """
    given = {
        "question": question,
        "answer": answer,
        "question_sentiment": question_sentiment,
        "answer_sentiment": answer_sentiment,
    }
    values = {**_fields_of(content), **{name: value for name, value in given.items() if value is not None}, **details}
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
    content: Content | None = None,
    /,
    *,
    question: str | None = None,
    answer: str | None = None,
    question_sentiment: Sentiment | SentimentName | None = None,
    answer_sentiment: Sentiment | SentimentName | None = None,
    if_match: int | str | None = None,
    **details: Unpack[Details],
) -> Call[Conversation]:
    """Replace a conversation's whole content, given as for `create`; omitted details are cleared.

    `if_match` is the expected version (or ETag); raises PreconditionFailedError if it is not the current one. If the
    response to the first attempt is lost, its retry can also raise that, since the version has changed.
    """
    given = {
        "question": question,
        "answer": answer,
        "question_sentiment": question_sentiment,
        "answer_sentiment": answer_sentiment,
    }
    values = {**_fields_of(content), **{name: value for name, value in given.items() if value is not None}, **details}
    return Call(
        method="PUT",
        path=f"{PATH}/{conversation_id:d}",
        content=validated(ConversationCreate, values).model_dump_json(exclude_none=True).encode(),
        headers=if_match_header(if_match),
        parse=Conversation.model_validate_json,
    )


def update(
    conversation_id: int,
    content: Mapping[str, Any] | None = None,
    /,
    *,
    if_match: int | str | None = None,
    **changes: Unpack[Changes],
) -> Call[Conversation]:
    """Change the given fields; None clears a detail. `if_match` as in `replace`."""
    sent = validated(ConversationUpdate, {**(content or {}), **changes}).model_dump_json(exclude_unset=True)
    return Call(
        method="PATCH",
        path=f"{PATH}/{conversation_id:d}",
        content=sent.encode(),
        headers=if_match_header(if_match),
        parse=Conversation.model_validate_json,
    )


def delete(conversation_id: int, *, if_match: int | str | None = None) -> Call[None]:
    """Delete a conversation. Raises NotFoundError, also if a retry finds it deleted; `if_match` as in `replace`."""
    return Call(
        method="DELETE",
        path=f"{PATH}/{conversation_id:d}",
        headers=if_match_header(if_match),
        parse=_no_content,
    )


def bulk_delete(ids: Sequence[int], *, idempotency_key: str | None = None) -> Call[int]:
    """Delete 1 to 1000 conversations; return how many of them existed."""
    return Call(
        method="POST",
        path=f"{PATH}/bulk-delete",
        content=validated(BulkDelete, {"ids": ids}).model_dump_json().encode(),
        headers=_key(idempotency_key),
        parse=lambda body: BulkDeleted.model_validate_json(body).deleted,
    )


def undo_piece(
    import_tag: str, *, edited: bool = False, dry_run: bool = False, idempotency_key: str | None = None
) -> Call[ImportUndone]:
    """Delete at most 1000 conversations that an import added. Raises NotFoundError."""
    undo = validated(ImportUndo, {"import_tag": import_tag, "edited": edited, "dry_run": dry_run})
    return Call(
        method="POST",
        path=f"{PATH}/undo-import",
        content=undo.model_dump_json(exclude_defaults=True).encode(),
        headers=_key(idempotency_key),
        parse=ImportUndone.model_validate_json,
    )


def list_page(**query: Unpack[ListQuery]) -> Call[ConversationPage]:
    """Return one page (`limit` 1 to 200, default 50); pass its `next_cursor` as `cursor` for the next one."""
    return Call(method="GET", path=PATH, params=query_params(query), parse=ConversationPage.model_validate_json)


def export(**query: Unpack[ExportQuery]) -> Call[bytes]:
    """Stream the matching conversations as a CSV or JSON Lines file, in chunks of bytes."""
    if query.get("format") == "parquet":
        query["format"] = "jsonl"
    return Call(method="GET", path=f"{PATH}/export", params=query_params(query), headers={"Accept": "*/*"}, parse=bytes)


def stats() -> Call[ConversationStats]:
    """Return the number of conversations by sentiment, month and index status."""
    return Call(method="GET", path=f"{PATH}/stats", parse=ConversationStats.model_validate_json)


def index_state(conversation_id: int) -> Call[IndexState]:
    """Return the index state of one conversation. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{conversation_id:d}/index-state", parse=IndexState.model_validate_json)


class Conversations(Resource):
    """`client.conversations`."""

    create = sync_method(create)
    get = sync_method(get)
    replace = sync_method(replace)
    update = sync_method(update)
    delete = sync_method(delete)
    bulk_delete = sync_method(bulk_delete)
    list = sync_method(list_page)
    stats = sync_method(stats)
    index_state = sync_method(index_state)
    review = sync_method(review)
    bulk_review = sync_method(bulk_review)
    versions = sync_method(versions)
    version = sync_method(version)
    restore = sync_method(restore)

    def bulk_create(
        self,
        items: Items,
        *,
        on_duplicate: OnDuplicate | OnDuplicateName = OnDuplicate.ADD,
        import_tag: str | None = None,
        idempotency_key: str | None = None,
    ) -> builtins.list[int]:
        """Create any number of conversations, in requests of up to 1000; return their ids in the same order.

        `items` is any iterable of conversations or of dictionaries, or a data frame of pandas or polars, whose columns
        may have the names that a file may have. A list or a data frame is checked as a whole before anything is sent.

        A conversation whose question and answer are stored already is added once more, or left out ("skip"), or gives
        the stored one its sentiments and details ("update"); the id is then that of the stored one. Those that are
        added carry the `import_tag`, and `undo_import` takes them back.

        Each request stores all of its conversations or none. After an error in a later one the earlier are stored: with
        an `idempotency_key`, the same call again within 24 hours stores none of them twice.
        """
        ids: builtins.list[int] = []
        for call in bulk_calls(items, idempotency_key, bulk_options(on_duplicate, import_tag)):
            with rows_counted_from(len(ids)):
                stored = self._sender.send(call)
            ids += stored.ids
        return ids

    def undo_import(self, import_tag: str, *, edited: bool = False, dry_run: bool = False) -> ImportUndone:
        """Take an import back: delete the conversations that it added, in requests of up to 1000.

        Those that were edited since are kept unless `edited`, and those that the import updated keep what it gave them;
        the result counts both. With `dry_run` nothing is deleted, and `remaining` says how many would be. After an
        error the same call goes on. Raises NotFoundError if nothing is known of the import.
        """
        call = undo_piece(import_tag, edited=edited, dry_run=dry_run)
        done = self._sender.send(call)
        deleted = done.deleted
        while done.remaining and not dry_run:
            call = undo_piece(import_tag, edited=edited)
            done = self._sender.send(call)
            deleted += done.deleted
        return done.model_copy(update={"deleted": deleted})

    @named_arguments
    def iterate(self, **query: Unpack[IterateQuery]) -> Iterator[Conversation]:
        """Iterate over all matching conversations, requesting pages as needed."""
        for page in pages(self._sender, partial(_page_at, query), query.get("cursor")):
            yield from page.items

    @named_arguments
    def export(self, **query: Unpack[ExportQuery]) -> Iterator[bytes]:
        """Stream the matching conversations as a CSV, JSON Lines or Parquet file, in chunks of bytes.

        Parquet is made here, of JSON Lines, and needs the extra `parquet`.
        """
        pieces = self._sender.stream(export(**query))
        return parquet(pieces) if query.get("format") == "parquet" else pieces

    @named_arguments
    def to_dataframe(self, **query: Unpack[IterateQuery]) -> Any:
        """Return the matching conversations as a pandas data frame, a column for each field. Needs pandas.

        Times are in UTC; a missing detail is None. `bulk_create` takes such a frame.
        """
        load_pandas()
        return frame_of(self.iterate(**query))


class AsyncConversations(AsyncResource):
    """`client.conversations` of `AsyncClient`."""

    create = async_method(create)
    get = async_method(get)
    replace = async_method(replace)
    update = async_method(update)
    delete = async_method(delete)
    bulk_delete = async_method(bulk_delete)
    list = async_method(list_page)
    stats = async_method(stats)
    index_state = async_method(index_state)
    review = async_method(review)
    bulk_review = async_method(bulk_review)
    versions = async_method(versions)
    version = async_method(version)
    restore = async_method(restore)

    async def bulk_create(
        self,
        items: Items,
        *,
        on_duplicate: OnDuplicate | OnDuplicateName = OnDuplicate.ADD,
        import_tag: str | None = None,
        idempotency_key: str | None = None,
    ) -> builtins.list[int]:
        """Create any number of conversations, in requests of up to 1000; return their ids in the same order.

        `items` is any iterable of conversations or of dictionaries, or a data frame of pandas or polars, whose columns
        may have the names that a file may have. A list or a data frame is checked as a whole before anything is sent.

        A conversation whose question and answer are stored already is added once more, or left out ("skip"), or gives
        the stored one its sentiments and details ("update"); the id is then that of the stored one. Those that are
        added carry the `import_tag`, and `undo_import` takes them back.

        Each request stores all of its conversations or none. After an error in a later one the earlier are stored: with
        an `idempotency_key`, the same call again within 24 hours stores none of them twice.
        """
        ids: builtins.list[int] = []
        for call in bulk_calls(items, idempotency_key, bulk_options(on_duplicate, import_tag)):
            with rows_counted_from(len(ids)):
                stored = await self._sender.send(call)
            ids += stored.ids
        return ids

    async def undo_import(self, import_tag: str, *, edited: bool = False, dry_run: bool = False) -> ImportUndone:
        """Take an import back: delete the conversations that it added, in requests of up to 1000.

        Those that were edited since are kept unless `edited`, and those that the import updated keep what it gave them;
        the result counts both. With `dry_run` nothing is deleted, and `remaining` says how many would be. After an
        error the same call goes on. Raises NotFoundError if nothing is known of the import.
        """
        call = undo_piece(import_tag, edited=edited, dry_run=dry_run)
        done = await self._sender.send(call)
        deleted = done.deleted
        while done.remaining and not dry_run:
            call = undo_piece(import_tag, edited=edited)
            done = await self._sender.send(call)
            deleted += done.deleted
        return done.model_copy(update={"deleted": deleted})

    @named_arguments
    async def iterate(self, **query: Unpack[IterateQuery]) -> AsyncIterator[Conversation]:
        """Iterate over all matching conversations, requesting pages as needed."""
        async for page in pages_async(self._sender, partial(_page_at, query), query.get("cursor")):
            for conversation in page.items:
                yield conversation

    @named_arguments
    def export(self, **query: Unpack[ExportQuery]) -> AsyncIterator[bytes]:
        """Stream the matching conversations as a CSV, JSON Lines or Parquet file, in chunks of bytes.

        Parquet is made here, of JSON Lines, and needs the extra `parquet`.
        """
        pieces = self._sender.stream(export(**query))
        return parquet_async(pieces) if query.get("format") == "parquet" else pieces

    @named_arguments
    async def to_dataframe(self, **query: Unpack[IterateQuery]) -> Any:
        """Return the matching conversations as a pandas data frame, a column for each field. Needs pandas.

        Times are in UTC; a missing detail is None. `bulk_create` takes such a frame.
        """
        load_pandas()
        return frame_of([one async for one in self.iterate(**query)])


def _page_at(query: IterateQuery, cursor: str | None) -> Call[ConversationPage]:
    page: IterateQuery = {**query, "cursor": cursor}
    return list_page(**page)


def _fields_of(content: Content | None) -> dict[str, Any]:
    return content.model_dump(exclude_unset=True) if isinstance(content, ConversationCreate) else dict(content or {})


def _key(given: str | None) -> dict[str, str]:
    return {IDEMPOTENCY_KEY: given or str(uuid.uuid4())}


def _no_content(body: bytes) -> None:
    return None
