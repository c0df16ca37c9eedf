"""What clients were told of their writes, and so what may be shown to them and what must be stored in the end."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mh_common.models import Conversation, ConversationCreate

_MARK = re.compile(r"\[(w[^\]\s]+)\]")


class Verdict(StrEnum):
    """How the platform lied."""

    LOST = "lost"
    """An acknowledged write is not in MySQL."""
    STALE = "stale"
    """A text was shown that is older than its last acknowledged write."""
    GHOST = "shown after delete"
    DUPLICATED = "duplicated"
    """One write made two rows, or one row has two vectors."""
    DIVERGED = "diverged"
    """Index and MySQL differ in the end."""
    FOREIGN = "never written"
    """A text that nobody wrote in this form."""
    ERROR = "wrong answer"
    """A request was answered with an error that no fault explains."""


def mark_of(answer: str) -> str | None:
    """Return the mark that tells which write an answer is from."""
    found = _MARK.search(answer)
    return found[1] if found else None


def marks_of(text: str) -> set[str]:
    """Return every mark in a text."""
    return set(_MARK.findall(text))


@dataclass(frozen=True)
class Shown:
    """A conversation as MySQL has it or as somebody was shown it; `version` is None where that was not said."""

    id: int
    question: str
    answer: str
    version: int | None = None


@dataclass
class _Row:
    acknowledged: list[tuple[int, int]]
    """(clock, version) of acknowledged writes; versions only grow."""
    contents: dict[int, tuple[str, str]]
    """Question and answer by version."""
    versions: dict[str, int] = field(default_factory=dict)
    """The version that each acknowledged write made, by mark."""
    open: set[str] = field(default_factory=set)
    """Marks of writes that are under way, or whose outcome nobody was told."""
    delete_tried: bool = False
    deleted_at: int | None = None

    def floor(self, at: int) -> int:
        """The last version acknowledged by then."""
        position = bisect_right(self.acknowledged, (at, 1 << 62))
        return self.acknowledged[position - 1][1] if position else 0


class Oracle:
    """Knows all rows. Belongs to one event loop, whose order of events is its clock."""

    def __init__(self) -> None:
        self.violations: list[tuple[Verdict, str]] = []
        self.counts: Counter[str] = Counter()
        self._clock = 0
        self._rows: dict[int, _Row] = {}
        self._open_creates: set[str] = set()

    def now(self) -> int:
        """Return a moment: what was acknowledged before it must be seen by whoever asks after it."""
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
        """Note a lie."""
        self.violations.append((verdict, evidence))

    def creating(self, items: Iterable[ConversationCreate]) -> None:
        """Note rows before they are sent for the first time."""
        self._open_creates |= {mark for item in items if (mark := mark_of(item.answer))}

    def created(self, ids: Iterable[int], items: Iterable[ConversationCreate]) -> None:
        """Note new rows that were acknowledged."""
        self._clock += 1
        for key, item in zip(ids, items, strict=True):
            mark = str(mark_of(item.answer))
            if key in self._rows:
                self.accuse(Verdict.DUPLICATED, f"id {key} was given to two rows")
            self._open_creates.discard(mark)
            self._rows[key] = _Row([(self._clock, 1)], {1: (item.question, item.answer)}, {mark: 1})
            self.counts["acknowledged"] += 1

    def changing(self, key: int, mark: str) -> None:
        """Note a change before it is sent."""
        self._rows[key].open.add(mark)

    def changed(self, mark: str, present: Conversation) -> None:
        """Note a change that was acknowledged with what the row is now."""
        self._clock += 1
        row = self._rows[present.id]
        row.open.discard(mark)
        row.versions[mark] = present.version
        row.contents[present.version] = (present.question, present.answer)
        row.acknowledged.append((self._clock, max(present.version, row.acknowledged[-1][1])))
        self.counts["acknowledged"] += 1

    def deleting(self, ids: Iterable[int]) -> None:
        """Note deletes before they are sent."""
        for key in ids:
            self._rows[key].delete_tried = True

    def deleted(self, ids: Iterable[int]) -> None:
        """Note deletes that were acknowledged."""
        self._clock += 1
        for key in ids:
            row = self._rows[key]
            row.deleted_at = row.deleted_at or self._clock
            self.counts["acknowledged"] += 1

    def absent(self, key: int) -> None:
        """Note that somebody was told that a row does not exist: from then on it must not come back."""
        row = self._rows[key]
        if not row.delete_tried:
            self.accuse(Verdict.LOST, f"conversation {key} is not found, and nobody deleted it")
        if row.deleted_at is None:
            self._clock += 1
            row.deleted_at = self._clock

    def unknown(self) -> None:
        """Note a write of which nobody was told whether it was done: either is right."""
        self.counts["unknown"] += 1

    def check_shown(self, where: str, since: int, shown: Shown) -> None:
        """Judge what was shown to somebody who asked at `since`."""
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
        """Judge what MySQL holds in the end, all of it."""
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
        yield Verdict.LOST, f"the delete of conversation {key} is undone"
    version = stored.version or 0
    if version < last:
        yield Verdict.LOST, f"conversation {key} has version {version}; {last} was acknowledged"
    elif version > last and mark_of(stored.answer) not in row.open:
        yield Verdict.FOREIGN, f"conversation {key} has version {version} that nobody asked for"
    elif version == last and (stored.question, stored.answer) != row.contents[last]:
        yield Verdict.LOST, f"conversation {key} has not the text that was acknowledged as version {last}"
