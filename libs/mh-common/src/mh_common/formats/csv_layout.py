"""How a CSV file is laid out: its delimiter, its line ends, and whether its first line only names the delimiter."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from mh_common.formats.columns import match_columns
from mh_common.formats.rows import FileRefusedError

DELIMITERS: Final[Mapping[str, str]] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_SEP_LINE: Final = re.compile(r"\"?sep=(.)\"?[ ,;\t|]*(?:[\r\n]|$)", re.IGNORECASE)
_QUOTED: Final = re.compile(r"\"(?:[^\"]|\"\")*(?:\"|$)")
_ENDS: Final = re.compile(r"[\r\n]+")
_ROWS_LOOKED_AT: Final = 20


@dataclass(frozen=True)
class Layout:
    """A delimiter, what ends a line ("\\n" or "\\r"), and whether the first line is one such as `sep=;`."""

    delimiter: str
    newline: str
    has_sep_line: bool


def find_layout(sample: str, chosen_delimiter: str | None, columns: Mapping[str, str]) -> Layout:
    """Return the layout of a file that begins with `sample`. Raises FileRefusedError for an impossible delimiter."""
    end = _ENDS.search(_QUOTED.sub("", sample))
    newline = "\r" if end and "\n" not in end[0] else "\n"
    sep_line = _SEP_LINE.match(sample)
    if chosen_delimiter is not None:
        delimiter = _delimiter(chosen_delimiter)
    elif sep_line and sep_line[1] not in '\r\n"':
        delimiter = sep_line[1]
    else:
        delimiter = _most_likely(sample, columns)
    return Layout(delimiter, newline, sep_line is not None)


def _delimiter(chosen: str) -> str:
    delimiter = DELIMITERS.get(chosen.strip().lower(), "\t" if chosen == "\\t" else chosen)
    if len(delimiter) != 1 or delimiter in '"\r\n' or delimiter.isalnum():
        raise FileRefusedError(f"the delimiter must be one character such as ; or one of {', '.join(DELIMITERS)}")
    return delimiter


def _most_likely(sample: str, columns: Mapping[str, str]) -> str:
    """Prefer the delimiter that yields the most known names; then the one that cuts the first rows most evenly."""

    def merit(delimiter: str) -> tuple[int, float, int]:
        rows = list(islice(_rows(sample, delimiter), _ROWS_LOOKED_AT))
        if not rows or len(rows[0]) == 1:
            return 0, 0.0, 0
        width = len(rows[0])
        return len(match_columns(rows[0], columns).places), sum(len(row) == width for row in rows) / len(rows), width

    return max(DELIMITERS.values(), key=merit)


def _rows(sample: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(sample, newline=None), delimiter=delimiter, skipinitialspace=True)
    try:
        yield from filter(None, reader)
    except csv.Error:
        return
