"""The journal of an import: progress saved on disk, so that importing the same file again adds nothing twice.

One JSON Lines file for each imported file (by content) and platform (by name if one was given, else by URL). It is
append-only; a last line truncated by a crash is ignored. It contains no text of a conversation.

    {"journal": "<id>"}                                             written once; part of every Idempotency-Key
    {"plan": {"batch_rows": 500, "label_missing": false, ...}}      a run starts
    {"batch": "<key>", "line": 2, "count": 500, "records": [[0, 499]]}   the server has stored these records
    {"complete": true}                                              the run reached the end of the file
"""

import hashlib
import json
import os
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mh_common.models import Sentiment

from mh_client._import_rows import Row
from mh_client._state import state_folder


@dataclass(frozen=True)
class Plan:
    """The options that determine the boundaries and the content of batches; those of reading as they were given."""

    batch_rows: int
    label_missing: bool
    encoding: str | None = None
    delimiter: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    sheet: str | None = None
    raw: bool = False
    zero: str = Sentiment.NEGATIVE.value

    @property
    def reading(self) -> tuple[object, ...]:
        """The options that say how the file is read."""
        return self.encoding, self.delimiter, self.columns, self.sheet, self.raw, self.zero

    def told(self) -> str:
        """Say in options of `mh import` how the file is read."""
        given = [f"--column {name}={column}" for name, column in self.columns.items()]
        given += [f"--{name} {value}" for name in ("encoding", "delimiter", "sheet") if (value := getattr(self, name))]
        given += ["--raw"] * self.raw + [f"--zero {self.zero}"] * (self.zero != Sentiment.NEGATIVE)
        given.insert(0, "with --label-missing" if self.label_missing else "without --label-missing")
        return " and ".join(given[:1] + [f"with {' '.join(given[1:])}"] * (len(given) > 1))


class Journal:
    """The journal of one file and platform.

    `unfinished` is the plan of a run that did not complete, `finished` that of the last one that did.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        entries = _read(path)
        if not entries or "journal" not in entries[0]:
            entries = []
        self.id: str = entries[0]["journal"] if entries else uuid.uuid4().hex
        self.unfinished, self.finished = _plans(entries)
        self._done = _merge_spans(span for entry in entries if "batch" in entry for span in entry["records"])
        self._starts = [first for first, _ in self._done]
        self._is_new = not entries

    def begin(self, plan: Plan) -> None:
        """Record the start of a run. Raises OSError if the journal cannot be written."""
        if self._is_new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("")
            self._append({"journal": self.id})
            self._is_new = False
        else:
            self._end_torn_line()
        self._append({"plan": asdict(plan)})

    def has(self, row: Row) -> bool:
        """Return whether an earlier run stored this record."""
        place = bisect_right(self._starts, row.number) - 1
        return place >= 0 and row.number <= self._done[place][1]

    def key(self, rows: Sequence[Row]) -> str:
        """Return the Idempotency-Key of a batch: the same for the same rows at the same positions in this journal."""
        digest = hashlib.sha256(self.id.encode())
        for row in rows:
            digest.update(f"\n{row.number} {row.conversation.model_dump_json(exclude_none=True)}".encode())
        return digest.hexdigest()

    def add(self, key: str, rows: Sequence[Row]) -> None:
        """Record that the server has stored these rows."""
        spans = _merge_spans((row.number, row.number) for row in rows)
        self._append({"batch": key, "line": rows[0].line, "count": len(rows), "records": spans})

    def complete(self) -> None:
        """Record that the run reached the end of the file."""
        self._append({"complete": True})

    def _end_torn_line(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n")

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def journal_path(folder: Path, file: Path, platform: str, sheet: str | None = None) -> Path:
    """Return the path of the journal for this file's content and this platform, given by name or URL.

    Each sheet of a workbook has a journal of its own, since each counts its rows from 0.
    """
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    digest.update(platform.encode())
    if sheet is not None:
        digest.update(f"\n{sheet}".encode())
    return folder / f"{digest.hexdigest()}.jsonl"


def default_state_dir() -> Path:
    """Return the default folder for journals: mh/imports in XDG_STATE_HOME, else in ~/.local/state."""
    return state_folder("imports")


def _read(path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return entries
    for line in lines:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # empty, or truncated by a crash: that batch is sent again with the same key and stored once
    return entries


def _plans(entries: Iterable[dict[str, Any]]) -> tuple[Plan | None, Plan | None]:
    begun = finished = None
    for entry in entries:
        if "plan" in entry:
            begun = Plan(**entry["plan"])
        elif "complete" in entry:
            begun, finished = None, begun
    return begun, finished


def _merge_spans(spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Sort the spans (first and last number) and merge adjacent ones."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((span[0], span[1]) for span in spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
