"""Tracks which writes were acknowledged, and from that what may be shown to clients and what must be stored finally."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mh_common.models import Conversation, ConversationCreate

_MARK = re.compile(r"\[(w[^\]\s]+)\]")


class Verdict(StrEnum):
    """Kinds of violations."""

    LOST = "lost"
    """An acknowledged write is not in MySQL."""
    STALE = "stale"
    """A text older than the last acknowledged write was shown."""
    GHOST = "shown after delete"
    DUPLICATED = "duplicated"
    """One write created two rows, or one row has two vectors."""
    DIVERGED = "diverged"
    """Index and MySQL differ at the end."""
    FOREIGN = "never written"
    """A text was shown or stored that nobody wrote in this form."""
    ERROR = "wrong answer"
    """A request failed with an error that no fault explains."""


def mark_of(answer: str) -> str | None:
    """Return the mark that identifies the write that an answer's text comes from."""
    found = _MARK.search(answer)
    return found[1] if found else None


def marks_of(text: str) -> set[str]:
    """Return every mark in a text."""
    return set(_MARK.findall(text))


@dataclass(frozen=True)
class Shown:
    """A conversation as stored in MySQL or as shown to a client; `version` is None if it was not shown."""

    id: int
    question: str
    answer: str
    version: int | None = None


@dataclass
class _Row:
    acknowledged: list[tuple[int, int]]
    """(clock, version) of acknowledged writes, with increasing versions."""
    contents: dict[int, tuple[str, str]]
    """Question and answer by version."""
    versions: dict[str, int] = field(default_factory=dict)
    """The version that each acknowledged write created, by mark."""
    open: set[str] = field(default_factory=set)
    """Marks of writes that are in progress or have an unknown outcome."""
    delete_tried: bool = False
    deleted_at: int | None = None

    def floor(self, at: int) -> int:
        """Return the last version acknowledged by that time."""
        position = bisect_right(self.acknowledged, (at, 1 << 62))
        return self.acknowledged[position - 1][1] if position else 0


class Oracle:
    """Knows all rows. Belongs to one event loop; its clock counts events."""

    def __init__(self) -> None:
        self.violations: list[tuple[Verdict, str]] = []
        self.counts: Counter[str] = Counter()
        self._clock = 0
        self._rows: dict[int, _Row] = {}
        self._open_creates: set[str] = set()

    def now(self) -> int:
        """Return the current time: reads that start later must see what was acknowledged before it."""
        return self._clock

    def ids(self) -> list[int]:
        """Return the rows that nobody tried to delete."""
        return [key for key, row in self._rows.items() if not row.delete_tried]

    def deleted_ids(self) -> list[int]:
        """Return the rows whose delete was acknowledged."""
        return [key for key, row in self._rows.items() if row.deleted_at is not None]

    def version(self, key: int) -> int:
        """Return a row's last acknowledged version."""
        return self._rows[key].floor(self._clock)

    def question(self, key: int) -> str:
        """Return a row's question as last acknowledged."""
        return self._rows[key].contents[self.version(key)][0]

    def accuse(self, verdict: Verdict, evidence: str) -> None:
        """Record a violation."""
        self.violations.append((verdict, evidence))

    def creating(self, items: Iterable[ConversationCreate]) -> None:
        """Record rows before they are sent for the first time."""
        self._open_creates |= {mark for item in items if (mark := mark_of(item.answer))}

    def created(self, ids: Iterable[int], items: Iterable[ConversationCreate]) -> None:
        """Record acknowledged new rows."""
        self._clock += 1
        for key, item in zip(ids, items, strict=True):
            mark = str(mark_of(item.answer))
            if key in self._rows:
                self.accuse(Verdict.DUPLICATED, f"id {key} was given to two rows")
            self._open_creates.discard(mark)
            self._rows[key] = _Row([(self._clock, 1)], {1: (item.question, item.answer)}, {mark: 1})
            self.counts["acknowledged"] += 1

    def changing(self, key: int, mark: str) -> None:
        """Record a change before it is sent."""
        self._rows[key].open.add(mark)

    def changed(self, mark: str, current: Conversation) -> None:
        """Record an acknowledged change with the row's new content."""
        self._clock += 1
        row = self._rows[current.id]
        row.open.discard(mark)
        row.versions[mark] = current.version
        row.contents[current.version] = (current.question, current.answer)
        row.acknowledged.append((self._clock, max(current.version, row.acknowledged[-1][1])))
        self.counts["acknowledged"] += 1

    def deleting(self, ids: Iterable[int]) -> None:
        """Record deletes before they are sent."""
        for key in ids:
            self._rows[key].delete_tried = True

    def deleted(self, ids: Iterable[int]) -> None:
        """Record acknowledged deletes."""
        self._clock += 1
        for key in ids:
            row = self._rows[key]
            row.deleted_at = row.deleted_at or self._clock
            self.counts["acknowledged"] += 1

    def absent(self, key: int) -> None:
        """Record that a client was told that a row does not exist: it must not reappear."""
        row = self._rows[key]
        if not row.delete_tried:
            self.accuse(Verdict.LOST, f"conversation {key} is not found, and nobody deleted it")
        if row.deleted_at is None:
            self._clock += 1
            row.deleted_at = self._clock

    def unknown(self) -> None:
        """Record a write with an unknown outcome: either outcome is correct."""
        self.counts["unknown"] += 1

    def check_shown(self, where: str, since: int, shown: Shown) -> None:
        """Check what was shown to a client that sent its request at `since`."""
        self.counts["shown"] += 1
        row, mark = self._rows.get(shown.id), mark_of(shown.answer)
        if row is None:
            if mark not in self._open_creates:
                self.accuse(Verdict.FOREIGN, f"{where} shows {shown.id}, which nobody wrote")
            return
        if row.deleted_at is not None and row.deleted_at <= since:
            self.accuse(Verdict.GHOST, f"{where} shows {shown.id} after its delete")
        if mark in row.open:
            return
        version = row.versions.get(str(mark))
        if version is None:
            self.accuse(Verdict.FOREIGN, f"{where} shows {shown.id} with a text that nobody wrote to it")
        elif version < row.floor(since):
            self.accuse(Verdict.STALE, f"{where} shows {shown.id} in version {version} after {row.floor(since)}")
        elif (shown.question, shown.answer) != row.contents[version]:
            self.accuse(Verdict.FOREIGN, f"{where} shows {shown.id} with parts of different versions")

    def check_stored(self, stored: Iterable[Shown]) -> None:
        """Check the whole final content of MySQL."""
        found = {row.id: row for row in stored}
        for key, row in self._rows.items():
            for verdict, evidence in _judge(key, row, found.get(key)):
                self.accuse(verdict, evidence)
        strays = [(key, mark_of(row.answer)) for key, row in found.items() if key not in self._rows]
        for key, mark in strays:
            if mark not in self._open_creates:
                self.accuse(Verdict.DUPLICATED, f"conversation {key} repeats a write that was acknowledged once")
        for mark, copies in Counter(mark for _, mark in strays).items():
            if copies > 1:
                self.accuse(Verdict.DUPLICATED, f"one write ({mark}) made {copies} rows")


def _judge(key: int, row: _Row, stored: Shown | None) -> Iterator[tuple[Verdict, str]]:
    last = row.acknowledged[-1][1]
    if stored is None:
        if not row.delete_tried:
            yield Verdict.LOST, f"conversation {key} is gone"
        return
    if row.deleted_at is not None:
        yield Verdict.LOST, f"the delete of conversation {key} was undone"
    version = stored.version or 0
    if version < last:
        yield Verdict.LOST, f"conversation {key} has version {version}; {last} was acknowledged"
    elif version > last and mark_of(stored.answer) not in row.open:
        yield Verdict.FOREIGN, f"conversation {key} has version {version}, which nobody wrote"
    elif version == last and (stored.question, stored.answer) != row.contents[last]:
        yield Verdict.LOST, f"conversation {key} does not have the text acknowledged as version {last}"
