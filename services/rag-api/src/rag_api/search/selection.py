"""Which candidates to hydrate next, and which of the hydrated hits to return."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mh_common import vector_index as fields

from rag_api.search.filters import Condition, In
from rag_api.search.hydration import HydratedHit
from rag_api.search.index import MAX_MATCHES
from rag_api.search.ranking import Candidate

MIN_CANDIDATES: Final = 100
"""Candidates to retrieve even for a short list. From 80 on, the top ten no longer changed when measured."""
CANDIDATES_PER_HIT: Final = 4
"""A question has a few answers, only one of which becomes a hit."""

MAX_BATCH: Final = 200
"""Maximum conversations hydrated in one request: the maximum page size of the conversations API."""


class Selection:
    """The hits found so far, and the candidates that are still to be hydrated.

    Args:
        limit: number of hits to return.
        grouped: whether to return at most one hit for each question.
    """

    def __init__(self, limit: int, *, grouped: bool) -> None:
        self._limit = limit
        self._grouped = grouped
        self._pending: list[Candidate] = []
        self._hits: list[HydratedHit] = []
        self._checked_ids: set[int] = set()
        self._found_questions: set[int] = set()

    @property
    def is_complete(self) -> bool:
        """Whether there are enough hits."""
        return len(self._hits) >= self._limit

    @property
    def has_candidates(self) -> bool:
        """Whether there are candidates left to hydrate."""
        return bool(self._pending)

    @property
    def match_limit(self) -> int:
        """How many matches to request from the index at once."""
        return min(max(MIN_CANDIDATES, CANDIDATES_PER_HIT * self._limit), MAX_MATCHES)

    @property
    def exclusions(self) -> list[Condition]:
        """Conditions that exclude what was checked already, and questions that have their hit, from further matches."""
        conditions: list[Condition] = []
        if self._checked_ids:
            conditions.append(In(fields.ID, sorted(self._checked_ids), negated=True))
        if self._found_questions:
            conditions.append(In(fields.QUESTION_HASH, sorted(self._found_questions), negated=True))
        return conditions

    def set_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Replace the candidates to hydrate by these, best first."""
        self._pending = list(candidates)

    def next_batch(self, iteration: int) -> list[Candidate]:
        """Remove and return the next candidates to hydrate.

        Args:
            iteration: from 0. Each one doubles the batch relative to the missing hits, and the number of answers per
                question, because the candidates before were stale: so a long run of stale ones is skipped quickly.
        """
        batch_size = min((self._limit - len(self._hits)) * 2**iteration, MAX_BATCH)
        per_question = 2**iteration if self._grouped else batch_size
        batch: list[Candidate] = []
        remaining: list[Candidate] = []
        taken_by_question: Counter[int] = Counter()
        for candidate in self._pending:
            question = candidate.match.question_hash
            if len(batch) == batch_size or taken_by_question[question] == per_question:
                remaining.append(candidate)
            else:
                taken_by_question[question] += 1
                batch.append(candidate)
        self._pending = remaining
        return batch

    def add(self, batch: Sequence[Candidate], found: Sequence[HydratedHit]) -> None:
        """Record a hydrated batch and its hits. If grouped, only the best hit of a question is kept."""
        self._checked_ids.update(candidate.match.unit.key.source_id for candidate in batch)
        if not self._grouped:
            self._hits += found
            return
        for one in found:
            if one.candidate.match.question_hash not in self._found_questions:
                self._found_questions.add(one.candidate.match.question_hash)
                self._hits.append(one)
        self._pending = [one for one in self._pending if one.match.question_hash not in self._found_questions]

    def best(self) -> list[HydratedHit]:
        """Return the hits, best first; equal evidence by id."""
        return sorted(self._hits, key=lambda found: found.candidate.sort_key)[: self._limit]
