"""Read a CSV file of conversations (RFC 4180): one row or one reject per record, in constant memory.

Lines end with LF or CRLF and are numbered as in a text editor. An unclosed quote swallows the rest of the file, as in
any CSV reader, up to the maximum field length; it is reported on the line where its record starts.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from mh_common.models import ConversationCreate, ConversationDetails, Sentiment
from pydantic import ValidationError

from mh_client._base import field_problems
from mh_client._errors import ImportRefusedError

BOM: Final = b"\xef\xbb\xbf"
UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
TEXT_COLUMNS: Final = ("question", "answer")
OPTIONAL_COLUMNS: Final = tuple(ConversationDetails.model_fields)
"""Columns that may be missing or empty."""
SENTIMENT_COLUMNS: Final = ("question_sentiment", "answer_sentiment")

# The longest valid row has two texts of 1,000,000 characters: 8 MB in UTF-8, 16 MB if every character is a doubled
# quote. Anything longer is invalid and need not fit in memory.
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
MAX_FIELD_LENGTH: Final = 16 * 1024 * 1024

_REASONS: Final = {
    "unexpected end of data": "a quote that opens in this row is never closed",
    "expected after": "text follows a closing quote (a quote inside a field must be doubled)",
    "new-line character seen": "a carriage return outside quotes",
    "field larger than": f"a field is longer than {MAX_FIELD_LENGTH:,} characters; is a closing quote missing?",
}

Labeller = Callable[[str], Sentiment]


@dataclass(frozen=True)
class Row:
    """A valid record. `number` counts records from 0, `line` is the line it starts on, from 1."""

    number: int
    line: int
    cells: list[str]
    conversation: ConversationCreate


@dataclass(frozen=True)
class Reject:
    """An invalid record, and why; the reason contains none of its text."""

    line: int
    reason: str
    cells: list[str]


@dataclass(frozen=True)
class _Record:
    number: int
    line: int
    cells: list[str]
    fault: str | None


class _Lines(Iterator[str]):
    """The decoded lines of a file; bytes that are not UTF-8 become surrogate escapes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        self.position = 0
        self.begin_record()

    def begin_record(self) -> None:
        self.first = self.number + 1
        self.raw: list[str] = []
        self.fault: str | None = None

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.position += len(line)
        if len(line) > MAX_LINE_BYTES:
            raise ImportRefusedError(
                f"line {self.number} is longer than {MAX_LINE_BYTES:,} bytes: this is not a CSV file"
            )
        if self.number == 1:
            line = _without_bom(line)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            byte = line[error.start]
            self.fault = self.fault or f"line {self.number} is not UTF-8: byte 0x{byte:02X} at {error.start + 1}"
            text = line.decode(errors="surrogateescape")
        self.raw.append(text)
        return text


def _without_bom(line: bytes) -> bytes:
    if line.startswith(UTF16_BOMS):
        raise ImportRefusedError("the file is UTF-16; save it as CSV in UTF-8")
    return line.removeprefix(BOM)


class RowReader:
    """Reads `file` (binary, at its start) record by record. `header` has the column names as in the file.

    With a `labeller`, which is called with the text, the sentiments may be missing. Raises ImportRefusedError if the
    header is unusable.
    """

    def __init__(self, file: BinaryIO, labeller: Labeller | None = None) -> None:
        # The limit is global to the process: raise it if needed, but never lower it.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_LENGTH))
        self._lines = _Lines(file)
        self._records = _records(self._lines)
        self._labeller = labeller
        first = next(self._records, None)
        if first is None:
            raise ImportRefusedError("the file is empty")
        if first.fault:
            raise ImportRefusedError(f"the header cannot be read: {first.fault}")
        self.header = first.cells
        self._columns = _find_columns(self.header, needs_sentiments=labeller is None)

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._lines.position

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each record after the header."""
        for record in self._records:
            yield self._row(record)

    def _row(self, record: _Record) -> Row | Reject:
        if record.fault:
            return Reject(record.line, record.fault, record.cells)
        if len(record.cells) != len(self.header):
            reason = f"has {len(record.cells)} columns, but the header has {len(self.header)}"
            return Reject(record.line, reason, record.cells)
        try:
            conversation = ConversationCreate.model_validate(self._values(record.cells))
        except ValidationError as error:
            return Reject(record.line, describe_error(error), record.cells)
        return Row(record.number, record.line, record.cells, conversation)

    def _values(self, cells: Sequence[str]) -> dict[str, str]:
        named = ((name, cells[column]) for name, column in self._columns.items())
        values = {name: cell for name, cell in named if name not in OPTIONAL_COLUMNS or cell.strip()}
        for text, sentiment in zip(TEXT_COLUMNS, SENTIMENT_COLUMNS, strict=True):
            given = values.get(sentiment, "").strip().lower()
            values[sentiment] = self._labeller(values[text]) if self._labeller and not given else given
        return values


def describe_error(error: ValidationError) -> str:
    """Describe in one line what is wrong with a record, without its text."""
    return "; ".join(f"{fault.field}: {fault.message}" for fault in field_problems(error))


def _records(lines: _Lines) -> Iterator[_Record]:
    """Yield every record except empty lines. After a malformed record, reading continues on the next line."""
    reader = csv.reader(lines, strict=True)
    number = -1
    while True:
        lines.begin_record()
        try:
            cells = next(reader)
            fault = lines.fault
        except StopIteration:
            return
        except csv.Error as error:
            cells, fault = _split_malformed("".join(lines.raw)), _reason(error)
        if cells or fault:
            yield _Record(number, lines.first, cells, fault)
            number += 1


def _split_malformed(raw: str) -> list[str]:
    """Split a malformed record into cells if possible; else return it as a single cell."""
    try:
        return next(csv.reader([raw]))
    except csv.Error:
        return [raw.rstrip("\r\n")]


def _reason(error: csv.Error) -> str:
    return next((reason for start, reason in _REASONS.items() if start in str(error)), "this is not CSV (RFC 4180)")


def _find_columns(header: Sequence[str], *, needs_sentiments: bool) -> Mapping[str, int]:
    names = [name.strip().lower() for name in header]
    wanted = (*TEXT_COLUMNS, *SENTIMENT_COLUMNS)
    known = (*wanted, *OPTIONAL_COLUMNS)
    if twice := [name for name in known if names.count(name) > 1]:
        raise ImportRefusedError(f"the header has {', '.join(twice)} more than once")
    required = wanted if needs_sentiments else TEXT_COLUMNS
    if missing := [name for name in required if name not in names]:
        message = f"missing in the header: {', '.join(missing)}"
        if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
            message += "; the columns must be separated by commas"
        elif not set(missing) & set(TEXT_COLUMNS):
            message += "; add them, or use --label-missing to label each text with a lexicon"
        raise ImportRefusedError(message)
    return {name: names.index(name) for name in known if name in names}
