"""Read a JSON Lines file of conversations: one object or one reject a line, in constant memory.

Keys are those of the columns of a CSV file; others are passed over, so that an export can be imported again.
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from mh_common.models import ConversationCreate
from pydantic import ValidationError

from mh_client._csv_rows import BOM, DETAILS, LONGEST_LINE, SENTIMENTS, TEXTS, Labeller, Reject, Row, reason_of
from mh_client._errors import ImportRefusedError

COLUMNS: Final = [*TEXTS, *SENTIMENTS, *DETAILS]


class JsonLinesReader:
    """Reads `file` (binary, at its beginning) line by line. Rejects are written under `header`, as a CSV file.

    With a `labeller` the sentiments may be missing; it is given the text. Raises ImportRefusedError for a line that
    no JSON object of two texts is as long as.
    """

    header: Final = COLUMNS

    def __init__(self, file: BinaryIO, labeller: Labeller | None = None) -> None:
        self._file = file
        self._labeller = labeller
        self.position = 0
        """Bytes read so far."""

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each line that is not empty."""
        number = line = 0
        while data := self._file.readline(LONGEST_LINE + 1):
            line += 1
            self.position += len(data)
            if len(data) > LONGEST_LINE:
                raise ImportRefusedError(f"line {line} is longer than {LONGEST_LINE:,} bytes: this is no conversation")
            if data.strip():
                yield self._row(number, line, data.removeprefix(BOM) if line == 1 else data)
                number += 1

    def _row(self, number: int, line: int, data: bytes) -> Row | Reject:
        try:
            found = json.loads(data)
        except ValueError:
            return Reject(line, "this is not JSON in UTF-8", [data.decode(errors="surrogateescape").rstrip("\r\n")])
        if not isinstance(found, dict):
            return Reject(line, "this is no JSON object", [data.decode().rstrip("\r\n")])
        cells = [_cell(found.get(name)) for name in COLUMNS]
        try:
            conversation = ConversationCreate.model_validate(self._values(found))
        except ValidationError as error:
            return Reject(line, reason_of(error), cells)
        return Row(number, line, cells, conversation)

    def _values(self, found: dict[str, Any]) -> dict[str, Any]:
        values = {name: found[name] for name in COLUMNS if found.get(name) is not None}
        for text, sentiment in zip(TEXTS, SENTIMENTS, strict=True):
            if self._labeller and sentiment not in values and isinstance(values.get(text), str):
                values[sentiment] = self._labeller(values[text])
        return values


def _cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
