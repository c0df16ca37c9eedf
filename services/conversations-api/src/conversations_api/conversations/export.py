"""Conversations as a file, a page at a time."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from mh_common.formats import Format, make_writer
from mh_common.models import Conversation, ConversationMetadata

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
    *ConversationMetadata.model_fields,
    "created_by",
    "updated_by",
    "reviewed_by",
    "reviewed_at",
)
COLUMNS: Final = {ExportFormat.CSV: CSV_COLUMNS, ExportFormat.JSONL: tuple(Conversation.model_fields)}
MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSONL: "application/jsonl; charset=utf-8",
}
_FORMATS: Final = {ExportFormat.CSV: Format.CSV, ExportFormat.JSONL: Format.JSON}


async def lines(
    first: Sequence[Conversation], rest: AsyncIterator[Sequence[Conversation]], form: ExportFormat, *, raw: bool = False
) -> AsyncIterator[bytes]:
    """Yield the file in UTF-8, a page at a time; without `raw` no spreadsheet runs any of its cells."""
    writer = make_writer(_FORMATS[form], COLUMNS[form], raw=raw)
    yield writer.rows(row.model_dump() for row in first)
    async for page in rest:
        yield writer.rows(row.model_dump() for row in page)
    yield writer.end()
