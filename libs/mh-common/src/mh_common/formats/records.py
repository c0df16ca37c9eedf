"""From the cells of a record to a row or a reject: the same for every format."""

import math
import re
from collections.abc import Sequence
from typing import Final

from mh_common.fields import Sentiment
from mh_common.formats.columns import find_columns, named
from mh_common.formats.rows import SENTIMENTS, TEXTS, Facts, ReadOptions, Reject, Row
from mh_common.formats.texts import text_fault
from mh_common.sentiments import parse_sentiment

_MIDNIGHT: Final = re.compile(r"[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:?00)?$")
_ZERO: Final = re.compile(r"[+-]?0(?:[.,]0*)?")
_MINUS_ONE: Final = re.compile(r"[-\u2212]1(?:[.,]0*)?")


class RecordMaker:
    """Makes rows and rejects, and notes in `facts` what only the whole file shows."""

    def __init__(self, facts: Facts, options: ReadOptions) -> None:
        self._facts = facts
        self._options = options
        self._has_zero = self._has_minus_one = False
        self._empty = 0

    def use(self, header: Sequence[str]) -> list[tuple[str, int]]:
        """Find the columns, state them as facts, and return each field with its index. Raises FileRefusedError."""
        places = find_columns(header, self._options.columns)
        self._facts.columns, self._facts.ignored = named(header, places)
        return list(places.items())

    def record(self, number: int, line: int, values: dict[str, str], cells: Sequence[str]) -> Row | Reject:
        """Make a record of its values by field; the optional ones that are blank are taken out."""
        faults = [f"the {field} {fault}" for field in TEXTS if (fault := text_fault(values.get(field, "")))]
        for field in [field for field in values if field not in TEXTS]:
            value = values[field].strip()
            if not value:
                del values[field]
            elif field in SENTIMENTS:
                try:
                    values[field] = self._sentiment(value)
                except ValueError as error:
                    faults.append(f"{field} {error}")
            elif field == "source_date":
                # What spreadsheets and data frames make of a day.
                values[field] = _MIDNIGHT.sub("", value)
        return Reject(number, line, "; ".join(faults), cells) if faults else Row(number, line, values, cells)

    def _sentiment(self, value: str) -> str:
        sentiment = parse_sentiment(value, self._options.zero)
        if value[0] in "+-0\u2212":
            self._has_zero = self._has_zero or _ZERO.fullmatch(value) is not None
            self._has_minus_one = self._has_minus_one or _MINUS_ONE.fullmatch(value) is not None
        return str(sentiment)

    def count_empty(self) -> None:
        """Count a record in which nothing stands, and which is passed over."""
        self._empty += 1

    def finish(self, records: int) -> None:
        """Note what the whole file has shown, `records` of them not empty."""
        notes = self._facts.notes
        if not records:
            notes.append("The file has no rows below its header." if self._facts.columns else "The file has no rows.")
        if self._empty:
            notes.append(f"Rows in which nothing stands were passed over: {self._empty:,}.")
        if self._has_zero and self._has_minus_one and self._options.zero is Sentiment.NEGATIVE:
            notes.append(
                "The file has both 0 and -1 as sentiments, and both were read as negative. "
                "If 0 means neutral there, say so, or write neutral instead."
            )


def values_of(places: Sequence[tuple[str, int]], cells: Sequence[str]) -> dict[str, str]:
    """Return the cells of the fields by field."""
    return {field: cells[at] for field, at in places}


def text_of(value: object) -> str | None:
    """Return a text, number or truth value as a text, None for nothing. Raises ValueError for lists and such."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    raise ValueError("must be a text")
