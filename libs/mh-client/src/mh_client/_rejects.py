"""The CSV file of rejected rows, which can be corrected and imported."""

import csv
import filecmp
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mh_common.formats import Reject, guard, unguard

COLUMNS: Final = ("line", "reason")


class RejectsFile:
    """Written to `path` when the import completes, and only if there are rejects.

    An existing file with different content, perhaps partly corrected, is kept as `.bak`. Columns: `line` and `reason`,
    then the original ones; bytes that were not UTF-8 are preserved. What a spreadsheet would run is guarded, and an
    import takes the guards off again.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        # The imported file may itself be a rejects file, with these two columns.
        self._kept_from = len(COLUMNS) if tuple(header[: len(COLUMNS)]) == COLUMNS else 0
        self._header = header[self._kept_from :]
        self._closing = ExitStack()
        self._write: Callable[[Iterable[object]], object] | None = None

    def add(self, reject: Reject) -> None:
        """Write one reject. Raises OSError."""
        if self._write is None:
            # surrogateescape restores bytes that were not UTF-8.
            file = self._part.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            self._closing.enter_context(file)
            self._write = csv.writer(file).writerow
            self._write([*COLUMNS, *(guard(unguard(name)) for name in self._header)])
        self._write([reject.line, reject.reason, *map(guard, reject.cells[self._kept_from :])])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        if self._write is None:
            return
        if error is not None:
            self._part.unlink()
            return
        if self.path.exists() and not filecmp.cmp(self.path, self._part, shallow=False):
            self.path.replace(self.path.with_name(f"{self.path.name}.bak"))
        self._part.replace(self.path)
