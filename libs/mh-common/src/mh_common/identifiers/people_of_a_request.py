"""Tells which names of a request are the same person's."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from mh_common.identifiers import vocabulary
from mh_common.identifiers.gazetteer import fold

_MOST_NAMESAKES: Final = 30
"""Of so many persons with the same name none is looked through, so that a hostile text costs no time."""
_MOST_PARTS: Final = 5


@dataclass(eq=False)
class _Person:
    number: int
    parts: frozenset[str]
    """The names without titles and particles, folded."""
    given: str = field(default="")
    """The first of several names."""


class PeopleOfARequest:
    """Numbers persons by the names they are called by.

    "Maria Lopez", "Maria", "Ms. Lopez" and "M. Lopez" are one person, "Tomás Lopez" is another. A name that fits
    several, such as "Ms. Lopez" when there are two, is taken for a further person: to choose one might put words into
    the mouth of the other.
    """

    def __init__(self) -> None:
        self._count = 0
        self._by_parts: dict[frozenset[str], list[_Person]] = defaultdict(list)
        self._by_part: dict[str, list[_Person]] = defaultdict(list)
        self._by_given: dict[str, list[_Person]] = defaultdict(list)

    def number_of(self, name: str) -> int:
        """Return the person's number; the first is 1."""
        parts = _parts_of(name)
        person = self._find(parts)
        if person is None:
            self._count += 1
            person = _Person(self._count, frozenset())
        self._learn(person, parts)
        return person.number

    def _find(self, parts: list[str]) -> _Person | None:
        if len(parts) == 1:
            candidates = (
                self._by_parts.get(frozenset(parts)),
                self._by_given.get(parts[0]),
                self._by_part.get(parts[0]),
            )
        else:
            candidates = (self._by_parts.get(frozenset(parts)), list(self._with_more_or_less(parts)), None)
        return next((found[0] for found in candidates if found and len(found) == 1), None)

    def _with_more_or_less(self, parts: list[str]) -> Iterator[_Person]:
        """Yield the persons whose known names are among these, or the other way round."""
        whole = frozenset(part for part in parts if len(part) > 1)
        initials = {part for part in parts if len(part) == 1}
        rarest = min((self._by_part.get(part, []) for part in whole), key=len, default=[])
        if len(rarest) <= _MOST_NAMESAKES:
            for person in rarest:
                others = person.parts - whole
                if whole < person.parts and all(any(part[0] == initial for part in others) for initial in initials):
                    yield person
        if len(whole) <= _MOST_PARTS and not initials:
            for size in range(1, len(whole)):
                for some in combinations(sorted(whole), size):
                    yield from self._by_parts.get(frozenset(some), ())

    def _learn(self, person: _Person, parts: list[str]) -> None:
        known = person.parts | {part for part in parts if len(part) > 1 or not person.parts}
        if known != person.parts:
            if person.parts:
                self._by_parts[person.parts].remove(person)
            for part in known - person.parts:
                self._by_part[part].append(person)
            person.parts = known
            self._by_parts[known].append(person)
        if len(parts) > 1 and not person.given:
            person.given = parts[0]
            self._by_given[person.given].append(person)


def _parts_of(name: str) -> list[str]:
    """Return the given and family names, in this order."""
    folded = fold(name)
    family, comma, given = folded.partition(",")
    if comma and given.split() and given.split()[0] not in vocabulary.SUFFIXES:
        folded = f"{given} {family}"
    words = ["".join(filter(str.isalnum, word)) for word in folded.replace(".", " ").replace("-", " ").split()]
    ignored = vocabulary.TITLES | vocabulary.SUFFIXES | vocabulary.PARTICLES
    parts = [word for word in words if word and word not in ignored]
    return parts or [word for word in words if word] or [folded]
