"""Read a JSON Lines file of conversations: one row or one reject per line, in constant memory.

The keys are the column names of a CSV file; others are ignored, so that an export can be imported again.
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from mh_common.models import ConversationCreate
from pydantic import ValidationError

from mh_client._csv_rows import (
    BOM,
    MAX_LINE_BYTES,
    OPTIONAL_COLUMNS,
    SENTIMENT_COLUMNS,
    TEXT_COLUMNS,
    Labeller,
    Reject,
    Row,
    describe_error,
)
from mh_client._errors import ImportRefusedError

COLUMNS: Final = [*TEXT_COLUMNS, *SENTIMENT_COLUMNS, *OPTIONAL_COLUMNS]


class JsonLinesReader:
    """Reads `file` (binary, at its start) line by line. Rejects are written as CSV with `header`.

    With a `labeller`, which is called with the text, the sentiments may be missing. Raises ImportRefusedError for a
    line longer than any valid conversation.
    """

    header: Final = COLUMNS

    def __init__(self, file: BinaryIO, labeller: Labeller | None = None) -> None:
        self._file = file
        self._labeller = labeller
        self.position = 0
        """Bytes read so far."""

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each non-empty line."""
        number = line = 0
        while data := self._file.readline(MAX_LINE_BYTES + 1):
            line += 1
            self.position += len(data)
            if len(data) > MAX_LINE_BYTES:
                raise ImportRefusedError(
                    f"line {line} is longer than {MAX_LINE_BYTES:,} bytes: this is not a conversation"
                )
            if data.strip():
                yield self._row(number, line, data.removeprefix(BOM) if line == 1 else data)
                number += 1

    def _row(self, number: int, line: int, data: bytes) -> Row | Reject:
        try:
            found = json.loads(data)
        except ValueError:
            return Reject(line, "this is not JSON in UTF-8", [data.decode(errors="surrogateescape").rstrip("\r\n")])
        if not isinstance(found, dict):
            return Reject(line, "this is not a JSON object", [data.decode().rstrip("\r\n")])
        cells = [_cell(found.get(name)) for name in COLUMNS]
        try:
            conversation = ConversationCreate.model_validate(self._values(found))
        except ValidationError as error:
            return Reject(line, describe_error(error), cells)
        return Row(number, line, cells, conversation)

    def _values(self, found: dict[str, Any]) -> dict[str, Any]:
        values = {name: found[name] for name in COLUMNS if found.get(name) is not None}
        for text, sentiment in zip(TEXT_COLUMNS, SENTIMENT_COLUMNS, strict=True):
            if self._labeller and sentiment not in values and isinstance(values.get(text), str):
                values[sentiment] = self._labeller(values[text])
        return values


def _cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
