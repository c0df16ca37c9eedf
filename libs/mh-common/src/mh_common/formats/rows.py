"""What every reader gives: rows, rejects, and facts about the file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from mh_common.fields import Sentiment
from mh_common.models import ConversationCreate

TEXTS: Final = ("question", "answer")
SENTIMENTS: Final = ("question_sentiment", "answer_sentiment")
FIELDS: Final = tuple(ConversationCreate.model_fields)
"""The fields that a file can give, by the names that the API has for them."""

# The longest question or answer has 1,000,000 characters, which a file may write twice as long (doubled quotes).
LONGEST_RECORD: Final = 16 * 1024 * 1024
"""Most characters of a cell, a line or a JSON object. What is longer is no conversation and need not fit in memory."""


class Format(StrEnum):
    """A format that can be read."""

    CSV = "csv"
    JSON = "json"
    """JSON Lines, a JSON array, or JSON objects one after the other."""
    PARQUET = "parquet"
    XLSX = "xlsx"


class FileRefusedError(ValueError):
    """The file as a whole, or an option, cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation as the file gives it.

    Attributes:
        number: counts the records of the file from 0, rejects included.
        line: where it begins, from 1: the line of a text file, the row of a sheet, the record of a Parquet file.
        values: by field, only what is given. Question and answer are there and have something visible in them;
            sentiments are those of the platform; the other fields are not checked yet.
        cells: everything the record holds, under the reader's `header`.
    """

    number: int
    line: int
    values: dict[str, str]
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be used. `reason` says what to change and repeats none of its text; others as in `Row`.

    Bytes that could not be decoded stand in `cells` as Python's `surrogateescape` has them.
    """

    number: int
    line: int
    reason: str
    cells: Sequence[str]


@dataclass
class Facts:
    """What was found out about a file. Those of a JSON file may grow while it is read; `notes` may for every format.

    Attributes:
        format: what it is.
        encoding: of a text file.
        delimiter: between the cells of a CSV file.
        sheet: name of the sheet that is read.
        columns: name of the column in the file, by field.
        ignored: columns that are not read.
        notes: sentences for whoever gave the file.
    """

    format: Format
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Reader(Protocol):
    """Reads a file record by record, once, in constant memory (but for XLSX: see `mh_common.formats.xlsx`)."""

    facts: Facts

    @property
    def header(self) -> Sequence[str]:
        """Names of the cells of rows and rejects: the columns as the file names them."""

    @property
    def position(self) -> int:
        """How many bytes of the file are read so far, for showing progress."""

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each record that is not empty. Raises FileRefusedError when reading cannot go on."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file. What is None is found out from the file.

    Attributes:
        name: name of the file, which chooses the format where the content leaves it open.
        encoding: of a text file, by a name that Python knows.
        delimiter: one character, or comma, semicolon, tab or pipe.
        columns: name of the column by field. An empty name: the field is not read.
        sheet: name of the sheet of a workbook; None is the first.
        raw: leave the guards of a CSV file as they are (`mh_common.formats.guards`).
        zero: what the sentiment 0 means.
    """

    name: str = ""
    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    sheet: str | None = None
    raw: bool = False
    zero: Sentiment = Sentiment.NEGATIVE
