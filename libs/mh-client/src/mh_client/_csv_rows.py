"""Read a CSV file of conversations as RFC 4180 has it: one row or one reject a record, in constant memory.

Lines end with LF or CRLF and are counted as a text editor counts them. A quote that is never closed swallows the rest
of the file, as in any CSV reader, up to the longest field; it is reported on the line where its record began.
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
TEXTS: Final = ("question", "answer")
DETAILS: Final = tuple(ConversationDetails.model_fields)
"""Columns that may be missing, and cells that may be empty."""
SENTIMENTS: Final = ("question_sentiment", "answer_sentiment")

# The longest acceptable row has two texts of 1,000,000 characters: 8 MB in UTF-8, 16 MB when every character is a
# quote that is doubled. Whatever is longer is no row, and need not fit in memory.
LONGEST_LINE: Final = 32 * 1024 * 1024
LONGEST_FIELD: Final = 16 * 1024 * 1024

_REASONS: Final = {
    "unexpected end of data": "a quote that opens in this row is never closed",
    "expected after": "text follows a closing quote (a quote inside a field must be doubled)",
    "new-line character seen": "a carriage return stands outside quotes",
    "field larger than": f"a field is longer than {LONGEST_FIELD:,} characters; is a closing quote missing?",
}

Labeller = Callable[[str], Sentiment]


@dataclass(frozen=True)
class Row:
    """A record that may be sent. `number` counts records from 0, `line` is the line it begins on, from 1."""

    number: int
    line: int
    cells: list[str]
    conversation: ConversationCreate


@dataclass(frozen=True)
class Reject:
    """A record that cannot be imported, and why; the reason repeats none of its text."""

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
    """The lines of a file, decoded; what is not UTF-8 comes as escapes that are written back as the same bytes."""

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
        line = self._file.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.position += len(line)
        if len(line) > LONGEST_LINE:
            raise ImportRefusedError(f"line {self.number} is longer than {LONGEST_LINE:,} bytes: this is no CSV file")
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
    """Reads `file` (binary, at its beginning) record by record. `header` holds the names as they stand in the file.

    With a `labeller` the sentiment columns and cells may be missing; it is given the text. Raises ImportRefusedError
    for a file without a usable header.
    """

    def __init__(self, file: BinaryIO, labeller: Labeller | None = None) -> None:
        # The limit belongs to the whole process: raised where it is too small, and never lowered for others.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
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
            reason = f"{len(record.cells)} columns where the header has {len(self.header)}"
            return Reject(record.line, reason, record.cells)
        try:
            conversation = ConversationCreate.model_validate(self._values(record.cells))
        except ValidationError as error:
            return Reject(record.line, reason_of(error), record.cells)
        return Row(record.number, record.line, record.cells, conversation)

    def _values(self, cells: Sequence[str]) -> dict[str, str]:
        named = ((name, cells[column]) for name, column in self._columns.items())
        values = {name: cell for name, cell in named if name not in DETAILS or cell.strip()}
        for text, sentiment in zip(TEXTS, SENTIMENTS, strict=True):
            given = values.get(sentiment, "").strip().lower()
            values[sentiment] = self._labeller(values[text]) if self._labeller and not given else given
        return values


def reason_of(error: ValidationError) -> str:
    """Return in a line what is wrong with a record, without its text."""
    return "; ".join(f"{fault.field}: {fault.message}" for fault in field_problems(error))


def _records(lines: _Lines) -> Iterator[_Record]:
    """Yield every record that is not an empty line; a broken one too, after which reading goes on at the next line."""
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
            cells, fault = _cells_of_broken("".join(lines.raw)), _reason(error)
        if cells or fault:
            yield _Record(number, lines.first, cells, fault)
            number += 1


def _cells_of_broken(raw: str) -> list[str]:
    """Return the cells as far as they can be told apart; else the whole record as one."""
    try:
        return next(csv.reader([raw]))
    except csv.Error:
        return [raw.rstrip("\r\n")]


def _reason(error: csv.Error) -> str:
    return next((reason for start, reason in _REASONS.items() if start in str(error)), "this is not CSV (RFC 4180)")


def _find_columns(header: Sequence[str], *, needs_sentiments: bool) -> Mapping[str, int]:
    names = [name.strip().lower() for name in header]
    wanted = (*TEXTS, *SENTIMENTS)
    known = (*wanted, *DETAILS)
    if twice := [name for name in known if names.count(name) > 1]:
        raise ImportRefusedError(f"the header names {', '.join(twice)} more than once")
    required = wanted if needs_sentiments else TEXTS
    if missing := [name for name in required if name not in names]:
        message = f"the header lacks {', '.join(missing)}"
        if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
            message += "; the columns must be separated by commas"
        elif not set(missing) & set(TEXTS):
            message += "; --label-missing labels each text from a lexicon"
        raise ImportRefusedError(message)
    return {name: names.index(name) for name in known if name in names}
