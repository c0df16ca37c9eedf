"""Reads CSV as spreadsheets and programs write it.

A record that cannot be read is a reject. One with a quote that is never closed would take all lines after it along:
only its first line is rejected, and reading goes on at the second.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from mh_common.formats.csv_blanks import BlankStripper, end_of_quoted
from mh_common.formats.csv_layout import DELIMITERS, find_layout
from mh_common.formats.encodings import Encoding
from mh_common.formats.guards import GUARD, unguard
from mh_common.formats.records import RecordMaker, values_of
from mh_common.formats.rows import LONGEST_RECORD, Facts, FileRefusedError, Format, ReadOptions, Reject, Row
from mh_common.formats.text_lines import TextLines
from mh_common.wording import counted

_NOT_CLOSED: Final = "a quote that opens in this row is never closed; close it, or double it if it belongs to the text"
_AFTER_QUOTE: Final = "text follows a closing quote; double each quote that belongs to the text"
_REASONS: Final = {
    "unexpected end of data": _NOT_CLOSED,
    "field larger than": _NOT_CLOSED,
    "expected after": _AFTER_QUOTE,
    "new-line character seen": "a carriage return stands outside quotes; put the text in quotes or take it out",
}


class CsvReader:
    """Reads `file` (binary, seekable), whose text begins with `sample`. Raises FileRefusedError for its header."""

    def __init__(self, file: BinaryIO, encoding: Encoding, sample: str, options: ReadOptions) -> None:
        # The limit belongs to the whole process: raised where it is too small, and never lowered for others.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD))
        layout = find_layout(sample, options.delimiter, options.columns)
        name = encoding.fallback or encoding.name
        self.facts = Facts(Format.CSV, name, layout.delimiter, notes=[encoding.note] if encoding.note else [])
        self._raw = options.raw
        self._make = RecordMaker(self.facts, options)
        self._lines = TextLines(file, encoding, layout.newline)
        if layout.has_sep_line:
            next(self._lines)
        self._records = _Records(self._lines, layout.delimiter)
        self.header = self._header()
        self._places = self._make.use(self.header)
        # Names that are missing at the end are those of columns that a row need not have.
        self._least = max((at + 1 for at, name in enumerate(self.header) if name.strip()), default=0)

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._lines.position

    def __iter__(self) -> Iterator[Row | Reject]:
        """Yield each record below the header that is not empty."""
        number = 0
        for line, cells, fault in self._records:
            record = self._record(number, line, cells, fault)
            if record is None:
                if cells:
                    self._make.count_empty()
                continue
            yield record
            number += 1
        self._make.finish(number)

    def _header(self) -> Sequence[str]:
        for _, cells, fault in self._records:
            if fault:
                raise FileRefusedError(f"the header cannot be read: {fault}")
            if any(cell.strip() for cell in cells):
                return cells
        raise FileRefusedError("the file is empty: give one with a header and a row for each conversation")

    def _record(self, number: int, line: int, cells: list[str], fault: str | None) -> Row | Reject | None:
        if fault:
            return Reject(number, line, fault, self._lines.writable(cells))
        # NUL bytes are what a crash leaves at the end of a file.
        if not any(cell.strip() and cell.strip("\x00 ") for cell in cells):
            return None
        if not self._raw:
            cells = [unguard(cell) if cell[:1] == GUARD else cell for cell in cells]
        if not self._least <= len(cells) <= len(self.header) or any(cell.strip() for cell in cells[self._least :]):
            reason = _miscounted(len(cells), self._least, self.facts.delimiter or "")
            return Reject(number, line, reason, cells)
        return self._make.record(number, line, values_of(self._places, cells), cells)


def _miscounted(found: int, width: int, delimiter: str) -> str:
    told = f"the row has {counted(found, 'cell')} where the header has {width}"
    if found < width:
        return f"{told}; add the missing ones, empty or not, and put texts with line breaks in double quotes"
    mark = next((f"a {name}" for name, one in DELIMITERS.items() if one == delimiter), delimiter)
    return f"{told}; put each text that holds {mark} in double quotes"


class _Records:
    """Cuts lines into records: the line each begins on, its cells, and what is wrong with it."""

    def __init__(self, lines: TextLines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._blanks = BlankStripper(delimiter)

    def __iter__(self) -> Iterator[tuple[int, list[str], str | None]]:
        """Yield each record, empty lines among them; after a broken one reading goes on at the next line."""
        lines = self._lines
        reader = csv.reader(self._cleaned(), delimiter=self._delimiter, strict=True)
        while True:
            lines.begin_record()
            try:
                cells = next(reader)
                fault = lines.fault
            except StopIteration:
                return
            except csv.Error as error:
                fault = next((reason for start, reason in _REASONS.items() if start in str(error)), "this is not CSV")
                if fault is _AFTER_QUOTE and len(lines.raw) > 1 and self._opens_a_cell(lines.raw[-1]):
                    fault = _NOT_CLOSED
                if fault is _NOT_CLOSED:
                    lines.keep_first()
                cells = self._cells_of_broken("".join(lines.raw))
                reader = csv.reader(self._cleaned(), delimiter=self._delimiter, strict=True)
            yield lines.first, cells, fault

    def _cleaned(self) -> Iterator[str]:
        lines, strip = self._lines, self._blanks.strip
        for line in lines:
            # A record takes a second line only while a quote is open.
            yield strip(line, is_in_quotes=len(lines.raw) > 1)

    def _opens_a_cell(self, line: str) -> bool:
        """Say whether the quote that seemed to close a cell, on the last line of a record, stands where one begins."""
        before = line[: end_of_quoted(line, 0) - 1].rstrip(" \t")
        return not before or before.endswith(self._delimiter)

    def _cells_of_broken(self, raw: str) -> list[str]:
        """Return the cells as far as they can be told apart; else the whole record as one."""
        try:
            return next(csv.reader([raw], delimiter=self._delimiter))
        except (csv.Error, StopIteration):
            return [raw.rstrip("\r\n")]
