"""Which candidates are confirmed next, and which of the confirmed are shown: as many as are asked for."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mh_common import vector_index as fields

from rag_api.search.filters import Among, Condition
from rag_api.search.hydration import Found
from rag_api.search.index import MAX_MATCHES
from rag_api.search.ranking import Candidate

LEAST_CANDIDATES: Final = 100
"""Conversations looked at even for a short list. From 80 on the order of the first ten no longer depended on it."""
CANDIDATES_PER_HIT: Final = 4
"""Questions have a few answers each, of which one becomes a hit."""

MAX_TEXTS: Final = 200
"""Most conversations in one request for texts: the API's longest page."""


class Selection:
    """The best conversations found so far, and the candidates that wait to be confirmed.

    Args:
        limit: how many are wanted.
        grouped: whether at most one of each question is.
    """

    def __init__(self, limit: int, *, grouped: bool) -> None:
        self._limit = limit
        self._grouped = grouped
        self._waiting: list[Candidate] = []
        self._found: list[Found] = []
        self._seen: set[int] = set()
        self._closed: set[int] = set()

    @property
    def is_complete(self) -> bool:
        """Whether as many are found as are wanted."""
        return len(self._found) >= self._limit

    @property
    def is_waiting(self) -> bool:
        """Whether there are candidates that nobody has looked at."""
        return bool(self._waiting)

    @property
    def wanted_matches(self) -> int:
        """How many matches to ask the index for at once."""
        return min(max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * self._limit), MAX_MATCHES)

    @property
    def not_yet_seen(self) -> list[Condition]:
        """What a further match must be: none that was looked at, and of no question that has its hit."""
        conditions: list[Condition] = []
        if self._seen:
            conditions.append(Among(fields.ID, sorted(self._seen), negated=True))
        if self._closed:
            conditions.append(Among(fields.QUESTION_HASH, sorted(self._closed), negated=True))
        return conditions

    def offer(self, candidates: Sequence[Candidate]) -> None:
        """Let these candidates, best first, wait in the place of those before."""
        self._waiting = list(candidates)

    def take(self, turn: int) -> list[Candidate]:
        """Take the next candidates to confirm off those that wait.

        Args:
            turn: from 0. Each takes twice as many as are missing, and twice as many of a question's answers, as those
                before were stale: so a long run of stale ones is passed.
        """
        wanted = min((self._limit - len(self._found)) * 2**turn, MAX_TEXTS)
        of_each = 2**turn if self._grouped else wanted
        batch: list[Candidate] = []
        left: list[Candidate] = []
        taken: Counter[int] = Counter()
        for candidate in self._waiting:
            question = candidate.match.question
            if len(batch) == wanted or taken[question] == of_each:
                left.append(candidate)
            else:
                taken[question] += 1
                batch.append(candidate)
        self._waiting = left
        return batch

    def add(self, batch: Sequence[Candidate], found: Sequence[Found]) -> None:
        """Note that a batch was looked at, and what of it was found. If grouped, a question keeps its best only."""
        self._seen.update(candidate.match.id for candidate in batch)
        if not self._grouped:
            self._found += found
            return
        for one in found:
            if one.candidate.match.question not in self._closed:
                self._closed.add(one.candidate.match.question)
                self._found.append(one)
        self._waiting = [one for one in self._waiting if one.match.question not in self._closed]

    def best(self) -> list[Found]:
        """Return what was found, the best first; equal evidence by id."""
        return sorted(self._found, key=lambda found: found.candidate.place)[: self._limit]
