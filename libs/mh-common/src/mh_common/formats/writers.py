"""Writes conversations so that `open_rows` reads them back as they were, a page at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, Protocol

from pydantic_core import to_json

from mh_common.formats.guards import guard
from mh_common.formats.parquet_writer import ParquetWriter
from mh_common.formats.rows import Format

Record = Mapping[str, object]
"""The values of a conversation by column: texts, numbers, dates, times, None, or none at all."""

# Characters that end a line for some readers of JSON Lines, though not for JSON.
_LINE_ENDS: Final = {end.encode(): f"\\u{ord(end):04x}".encode() for end in "\x85\u2028\u2029"}


class Writer(Protocol):
    """Gives the bytes of a file piece by piece: of `rows`, page by page, then of `end`, also when there is no row."""

    media_type: str

    def rows(self, page: Iterable[Record]) -> bytes:
        """Return what to write for these rows; it may come with a later page."""

    def end(self) -> bytes:
        """Return the rest of the file."""


def make_writer(form: Format, columns: Sequence[str], *, raw: bool = False) -> Writer:
    """Return the writer of a format.

    In CSV, texts that a spreadsheet would run are guarded (`mh_common.formats.guards`) unless `raw`. Raises
    FileRefusedError where the library of Parquet is missing; ValueError for a format that is only read.
    """
    if form is Format.CSV:
        return CsvWriter(columns, raw=raw)
    if form is Format.JSON:
        return JsonLinesWriter(columns)
    if form is Format.PARQUET:
        return ParquetWriter(columns)
    raise ValueError(f"{form} is read only; write csv, json or parquet")


def written(writer: Writer, pages: Iterable[Iterable[Record]]) -> Iterator[bytes]:
    """Yield the file of these pages."""
    for page in pages:
        if piece := writer.rows(page):
            yield piece
    if piece := writer.end():
        yield piece


class CsvWriter:
    """CSV in UTF-8 with a header, lines that end with CRLF, and all cells in quotes. No value is an empty cell."""

    media_type = "text/csv; charset=utf-8"

    def __init__(self, columns: Sequence[str], *, raw: bool = False) -> None:
        self._columns = columns
        self._raw = raw
        self._has_header = False

    def rows(self, page: Iterable[Record]) -> bytes:
        """Return the lines of these rows, after the header when they are the first."""
        text = io.StringIO(newline="")
        # Quotes keep blanks at the ends of a text, and line breaks of every kind, whatever reads it.
        write = csv.writer(text, quoting=csv.QUOTE_ALL).writerow
        if not self._has_header:
            csv.writer(text).writerow(self._columns)
            self._has_header = True
        for row in page:
            write([self._cell(row.get(column)) for column in self._columns])
        return text.getvalue().encode()

    def end(self) -> bytes:
        """Return the header where no row was written."""
        return self.rows([]) if not self._has_header else b""

    def _cell(self, value: object) -> str:
        text = "" if value is None else plain(value)
        text = text if isinstance(text, str) else str(text)
        return text if self._raw else guard(text)


class JsonLinesWriter:
    """A JSON object on each line, in UTF-8; None is null."""

    media_type = "application/jsonl; charset=utf-8"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def rows(self, page: Iterable[Record]) -> bytes:
        """Return the lines of these rows."""
        lines = b"".join(to_json({one: row.get(one) for one in self._columns}) + b"\n" for row in page)
        for character, escaped in _LINE_ENDS.items():
            lines = lines.replace(character, escaped)
        return lines

    def end(self) -> bytes:
        """Return nothing: every line is complete."""
        return b""


def plain(value: object) -> object:
    """Return a date or a time as ISO 8601 has it, and everything else as it is."""
    # A datetime is a date as well.
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, date) else value
