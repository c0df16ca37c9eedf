"""Which rows of a file seem to name people, and a report of all identifiers, which repeats none of them."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mh_common.formats.rows import TEXTS
from mh_common.identifiers import IdentifierKind, Recognizer

from mh_client._import_chunks import Chunk
from mh_client._import_rows import Row

COLUMNS: Final = ("row", "line", "column", "kind", "count")

SAMPLE_LENGTH: Final = 500_000
"""Characters of the first rows that are looked through without a report: some seconds."""

UNREADABLE: Final = "unreadable"
"""In the place of a kind: the recognizer failed, so nobody knows what is in the text."""


@dataclass
class IdentifierCounts:
    """What was recognised in the questions and answers of a file.

    Attributes:
        rows: rows that were looked through.
        naming_people: rows in which at least one name was recognised.
        unreadable: rows in which the recognizer failed.
        is_sample: there are further rows, which were not looked through.
    """

    rows: int = 0
    naming_people: int = 0
    unreadable: int = 0
    is_sample: bool = False


class IdentifierCheck:
    """Counts identifiers row by row, and writes the report when the whole file was read.

    Without a report only the first rows are looked through, since that takes longer than to import them.

    Args:
        recognizer: finds the identifiers; None: nothing is looked through.
        report: the CSV file, with a line for each kind in each text; None: no report.
    """

    def __init__(self, recognizer: Recognizer | None, report: Path | None) -> None:
        self.counts = IdentifierCounts() if recognizer else None
        self._recognizer = recognizer
        self._report = report if recognizer else None
        self._looked_at = 0
        self._closing = ExitStack()
        self._write: Callable[[Iterable[object]], object] | None = None

    def watch(self, parts: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the parts of a file unchanged, and look through each row on the way. Raises OSError."""
        for chunk in parts:
            if self._recognizer and self.counts:
                for row in chunk.rows:
                    self._look_through(row, self._recognizer, self.counts)
            yield chunk

    def _look_through(self, row: Row, recognizer: Recognizer, counts: IdentifierCounts) -> None:
        if self._report is None and self._looked_at >= SAMPLE_LENGTH:
            counts.is_sample = True
            return
        found: Counter[tuple[str, str]] = Counter()
        for column in TEXTS:
            text = getattr(row.conversation, column)
            self._looked_at += len(text)
            try:
                kinds = [one.kind.value for one in recognizer.find(text)]
            except Exception:  # any: an import does not fail because of a warning
                kinds = [UNREADABLE]
            found.update((column, kind) for kind in kinds)
        kinds_of_row = {kind for _, kind in found}
        counts.rows += 1
        counts.naming_people += IdentifierKind.PERSON.value in kinds_of_row
        counts.unreadable += UNREADABLE in kinds_of_row
        if self._write is not None:
            for (column, kind), count in found.items():
                self._write([row.number + 1, row.line, column, kind, count])

    def __enter__(self) -> Self:
        if self._report is not None:
            file = self._part(self._report).open("w", encoding="utf-8", newline="")
            self._closing.enter_context(file)
            self._write = csv.writer(file).writerow
            self._write(COLUMNS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        if self._report is None:
            return
        if error is None:
            self._part(self._report).replace(self._report)
        else:
            self._part(self._report).unlink(missing_ok=True)

    @staticmethod
    def _part(report: Path) -> Path:
        return report.with_name(f"{report.name}.part")


def describe(counts: IdentifierCounts, report: Path | None) -> str | None:
    """Return a warning in one line; None if no row seems to name people."""
    told = []
    if counts.naming_people:
        first = "the first " if counts.is_sample else ""
        told.append(f"{counts.naming_people:,} of {first}{counts.rows:,} rows seem to name people")
    if counts.unreadable:
        told.append(f"{counts.unreadable:,} rows could not be looked through")
    if not told:
        return None
    where = f"{report} says which" if report else "--identifiers FILE writes a report of which"
    return f"{', and '.join(told)}; {where}. Not every name is recognised."
