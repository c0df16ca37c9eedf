"""Exports conversations as CSV or JSONL, one page at a time."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from mh_common.models import Conversation, ConversationDetails

from conversations_api.conversations.filters import ExportFormat

CSV_COLUMNS: Final = (
    "question",
    "answer",
    "question_sentiment",
    "answer_sentiment",
    "id",
    "version",
    "created_at",
    "updated_at",
    *ConversationDetails.model_fields,
)
MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSONL: "application/jsonl; charset=utf-8",
}
# Characters that some JSONL readers take for line ends, although JSON does not.
_LINE_ENDS: Final = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


async def lines(
    first: Sequence[Conversation], rest: AsyncIterator[Sequence[Conversation]], form: ExportFormat
) -> AsyncIterator[bytes]:
    """Yield the file in UTF-8, one page at a time."""
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
