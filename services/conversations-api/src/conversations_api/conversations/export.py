"""Writing conversations as files, a page of rows at a time, so that an export of any size takes the same memory."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from mh_common.models import Conversation

from conversations_api.conversations.cursor import Position
from conversations_api.conversations.filters import ConversationFilters, ExportFormat, Sort
from conversations_api.conversations.repository import ConversationQueries
from conversations_api.database import ReaderFactory

PAGE_ROWS: Final = 100

CSV_COLUMNS: Final = (
    "question",
    "answer",
    "question_sentiment",
    "answer_sentiment",
    "id",
    "version",
    "created_at",
    "updated_at",
)
MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSONL: "application/jsonl; charset=utf-8",
}
# Characters that end a line for some readers of JSONL, though not for JSON.
_LINE_ENDS: Final = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


async def pages(readers: ReaderFactory, filters: ConversationFilters) -> AsyncIterator[Sequence[Conversation]]:
    """Yield the conversations that pass the filters in the order of their keys, in pages of at most `PAGE_ROWS`.

    Each page is read by itself: a slow client holds no connection. Raises `UnavailableError`.
    """
    last: Position | None = None
    while True:
        async with readers() as reader:
            rows = await ConversationQueries(reader).list(filters, Sort.ID, last, PAGE_ROWS)
        yield rows
        if len(rows) < PAGE_ROWS:
            return
        last = Position.of(rows[-1], Sort.ID)


async def lines(
    first: Sequence[Conversation], rest: AsyncIterator[Sequence[Conversation]], form: ExportFormat
) -> AsyncIterator[bytes]:
    """Yield the file in UTF-8, a page at a time."""
    write = _csv if form is ExportFormat.CSV else _jsonl
    yield (_csv_text([CSV_COLUMNS]) if form is ExportFormat.CSV else b"") + write(first)
    async for page in rest:
        yield write(page)


def _csv(page: Sequence[Conversation]) -> bytes:
    rows = (row.model_dump(mode="json") for row in page)
    return _csv_text([row[column] for column in CSV_COLUMNS] for row in rows)


def _csv_text(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _jsonl(page: Sequence[Conversation]) -> bytes:
    text = "".join(f"{row.model_dump_json()}\n" for row in page)
    for character, escaped in _LINE_ENDS.items():
        text = text.replace(character, escaped)
    return text.encode()
