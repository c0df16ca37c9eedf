"""The journal of an import: progress saved on disk, so that importing the same file again adds nothing twice.

One JSON Lines file for each imported file (by content) and platform (by name if one was given, else by URL). It is
append-only; a last line truncated by a crash is ignored. It contains no text of a conversation.

    {"journal": "<id>"}                                             written once; part of every Idempotency-Key
    {"plan": {"batch_rows": 500, "tag": "...", ...}}                a run starts
    {"batch": "<key>", "line": 2, "count": 500, "records": [[0, 499]]}   the server has stored these records
    {"complete": true}                                              the run reached the end of the file
    {"undone": "<tag>"}                                             what runs with this tag stored was taken back
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

from mh_common.models import OnDuplicate, Sentiment

from mh_client._import_rows import Row
from mh_client._state import state_folder


@dataclass(frozen=True)
class Plan:
    """The options that determine the boundaries and the content of batches; those of reading as they were given.

    The defaults are what a release did that did not know the option.
    """

    batch_rows: int
    label_missing: bool
    encoding: str | None = None
    delimiter: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    sheet: str | None = None
    raw: bool = False
    zero: str = Sentiment.NEGATIVE.value
    on_duplicate: str = OnDuplicate.ADD.value
    tag: str | None = None

    @property
    def reading(self) -> tuple[object, ...]:
        """The options that say how the file is read."""
        return self.encoding, self.delimiter, self.columns, self.sheet, self.raw, self.zero

    def told(self) -> str:
        """Say in options of `mh import` how the file is read and stored."""
        given = [f"--column {name}={column}" for name, column in self.columns.items()]
        given += [f"--{name} {value}" for name in ("encoding", "delimiter", "sheet") if (value := getattr(self, name))]
        given += ["--raw"] * self.raw + [f"--zero {self.zero}"] * (self.zero != Sentiment.NEGATIVE)
        given += [f"--on-duplicate {self.on_duplicate}"] * (self.on_duplicate != OnDuplicate.SKIP)
        given.insert(0, "with --label-missing" if self.label_missing else "without --label-missing")
        return " and ".join(given[:1] + [f"with {' '.join(given[1:])}"] * (len(given) > 1))


class Journal:
    """The journal of one file and platform.

    `unfinished` is the plan of a run that did not complete, `finished` that of the last one that did. With
    `ignores_finished` the records count as stored only if that run stored them which did not complete.
    """

    def __init__(self, path: Path, *, ignores_finished: bool = False) -> None:
        self._path = path
        entries = _read(path)
        if not entries or "journal" not in entries[0]:
            entries = []
        self.id: str = entries[0]["journal"] if entries else uuid.uuid4().hex
        runs = _runs(entries)
        open_run = runs[-1] if runs and not runs[-1].is_complete else None
        self.unfinished = open_run.plan if open_run else None
        self.finished = next((run.plan for run in reversed(runs) if run.is_complete), None)
        counted = [run for run in runs if run is open_run or not ignores_finished]
        self._done = _merge_spans(span for run in counted for span in run.spans)
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

    def key(self, rows: Sequence[Row], plan: Plan) -> str:
        """Return the Idempotency-Key of a batch: the same for the same rows at the same positions in this journal.

        It depends on what else the request says, since a key is for one request.
        """
        digest = hashlib.sha256(self.id.encode())
        if plan.tag is not None or plan.on_duplicate != OnDuplicate.ADD:
            digest.update(f"\n{plan.on_duplicate} {plan.tag}".encode())
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


@dataclass
class _RunNoted:
    """A run and what it stored, as the journal has them. A run that was resumed counts as one."""

    plan: Plan
    spans: list[Sequence[int]] = field(default_factory=list)
    is_complete: bool = False


def _runs(entries: Iterable[dict[str, Any]]) -> list[_RunNoted]:
    runs: list[_RunNoted] = []
    for entry in entries:
        if "plan" in entry:
            plan = Plan(**entry["plan"])
            if runs and not runs[-1].is_complete:
                runs[-1].plan = plan
            else:
                runs.append(_RunNoted(plan))
        elif "batch" in entry and runs:
            runs[-1].spans += entry["records"]
        elif "complete" in entry and runs:
            runs[-1].is_complete = True
        elif "undone" in entry:
            runs = [run for run in runs if run.plan.tag != entry["undone"]]
    return runs


def forget_import(tag: str, state_dir: Path | None = None) -> None:
    """Note in the journals that what the import with this tag stored was taken back: its file may be imported again.

    Raises OSError if a journal cannot be written.
    """
    for path in sorted((state_dir or default_state_dir()).glob("*.jsonl")):
        if any(run.plan.tag == tag for run in _runs(_read(path))):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps({"undone": tag}) + "\n")


def _merge_spans(spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Sort the spans (first and last number) and merge adjacent ones."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((span[0], span[1]) for span in spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
