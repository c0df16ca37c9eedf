"""What an import has done so far, kept on disk, so that a second run of the same file adds nothing twice.

One file of JSON Lines for each pair of imported file (by its content) and platform: by its name where it was given one,
else by its address. It is only ever appended to; a last line that a crash tore off is passed over. It holds no text of
a conversation.

    {"journal": "<id>"}                                             made once; the id is part of every Idempotency-Key
    {"plan": {"batch_rows": 500, "label_missing": false}}           a run begins
    {"batch": "<key>", "line": 2, "count": 500, "records": [[0, 499]]}   the server has stored these records
    {"complete": true}                                              the run came to the end of the file
"""

import hashlib
import json
import os
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mh_client._csv_rows import Row


@dataclass(frozen=True)
class Plan:
    """What decides where a batch begins and ends, and what is in it."""

    batch_rows: int
    label_missing: bool


class Journal:
    """The journal of one file and server. `unfinished` is the plan of a run that did not come to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        entries = _read(path)
        if not entries or "journal" not in entries[0]:
            entries = []
        self.id: str = entries[0]["journal"] if entries else uuid.uuid4().hex
        self.unfinished = _unfinished_plan(entries)
        self._done = _merged(span for entry in entries if "batch" in entry for span in entry["records"])
        self._starts = [first for first, _ in self._done]
        self._is_new = not entries

    def begin(self, plan: Plan) -> None:
        """Note that a run begins. Raises OSError when the journal cannot be written."""
        if self._is_new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("")
            self._append({"journal": self.id})
            self._is_new = False
        else:
            self._end_torn_line()
        self._append({"plan": asdict(plan)})

    def has(self, row: Row) -> bool:
        """Say whether an earlier run stored this record."""
        place = bisect_right(self._starts, row.number) - 1
        return place >= 0 and row.number <= self._done[place][1]

    def key(self, rows: Sequence[Row]) -> str:
        """Return the Idempotency-Key of a batch: the same for the same rows at the same places under this journal."""
        digest = hashlib.sha256(self.id.encode())
        for row in rows:
            digest.update(f"\n{row.number} {row.conversation.model_dump_json(exclude_none=True)}".encode())
        return digest.hexdigest()

    def add(self, key: str, rows: Sequence[Row]) -> None:
        """Note that the server has stored these rows."""
        spans = _merged((row.number, row.number) for row in rows)
        self._append({"batch": key, "line": rows[0].line, "count": len(rows), "records": spans})

    def complete(self) -> None:
        """Note that the run came to the end of the file."""
        self._append({"complete": True})

    def _end_torn_line(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n")

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def journal_path(folder: Path, file: Path, platform: str) -> Path:
    """Return where the journal of this file's content and this platform, by its name or address, is kept."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    digest.update(platform.encode())
    return folder / f"{digest.hexdigest()}.jsonl"


def default_state_dir() -> Path:
    """Return the folder of the journals: mh/imports in XDG_STATE_HOME, else in ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mh" / "imports"


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
            continue  # empty, or torn by a crash: that batch is sent again under the same key, and stored once
    return entries


def _unfinished_plan(entries: Iterable[dict[str, Any]]) -> Plan | None:
    plan = None
    for entry in entries:
        if "plan" in entry:
            plan = Plan(**entry["plan"])
        elif "complete" in entry:
            plan = None
    return plan


def _merged(spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the spans (first and last number) in order, joined where one follows the other without a gap."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((span[0], span[1]) for span in spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
