"""From candidates of the index to hits: only what the conversations API confirms, as many as are asked for."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog
from mh_client import APIConnectionError, APIStatusError, APITimeoutError, AsyncClient, MHError
from mh_common import vector_index as fields
from mh_common.errors import UnavailableError
from mh_common.models import Conversation

from rag_api import metrics
from rag_api.search.conditions import Among, Condition, Every
from rag_api.search.index import MAX_MATCHES, IndexQuery, Match, VectorIndex, VectorIndexError
from rag_api.search.scoring import Scorer

log = structlog.get_logger(__name__)

STALE_HITS_DROPPED: Final = "stale_hits_dropped"
"""Hits whose conversation is gone or has another version by now; many of them for long: the indexer is behind."""
CONVERSATIONS_FAILED: Final = "conversations_api_failed"

LEAST_CANDIDATES: Final = 100
"""Conversations looked at even for a short list. From 80 on the order of the first ten no longer depended on it."""
CANDIDATES_PER_HIT: Final = 4
"""Questions have a few answers each, of which one becomes a hit."""

MAX_TEXTS: Final = 200
"""Most conversations in one request for texts: the API's longest page."""

MAX_ROUNDS: Final = 8
"""Most requests for texts in one search; the numbers asked for double, so that a long run of stale hits is passed."""


class Candidate(NamedTuple):
    """A match with its score, and its rank among all that Milvus gave, the parts joined."""

    match: Match
    evidence: float
    score: float
    fusion_rank: int


@dataclass(frozen=True)
class Found:
    """A candidate that is the present version of its conversation, with its texts."""

    candidate: Candidate
    row: Conversation


@dataclass
class _Gathered:
    """What is known so far. `closed` are the questions that have their hit, `seen` the conversations looked at."""

    found: list[Found] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    waiting: list[Candidate] = field(default_factory=list)
    exhausted: bool = False
    ranked: int = 0


class Gatherer:
    """Asks the index for candidates and the conversations API for their texts, by turns, until there are enough."""

    def __init__(self, index: VectorIndex, conversations: AsyncClient, scorer: Scorer) -> None:
        self._index = index
        self._conversations = conversations
        self._scorer = scorer

    async def gather(
        self, query: IndexQuery, condition: Condition, limit: int, *, threshold: float, grouped: bool
    ) -> list[Found]:
        """Return the best conversations, at most one of each question if `grouped`; equal evidence by id.

        A conversation that was changed or deleted since it was indexed is left out, and the next one takes its place,
        also among those with the same question.

        Raises:
            UnavailableError: the index or the conversations API is down; the message says which.
        """
        state = _Gathered()
        for turn in range(MAX_ROUNDS):
            if not state.waiting and not state.exhausted:
                await self._refill(state, query, condition, limit, threshold)
            wanted = min((limit - len(state.found)) * 2**turn, MAX_TEXTS)
            # More of a question's answers each time, as those before were stale.
            batch = _taken(state, wanted, of_each=2**turn if grouped else wanted)
            if not batch:
                break
            _add(state, await self._confirmed(batch), grouped=grouped)
            state.seen.update(candidate.match.id for candidate in batch)
            if len(state.found) >= limit:
                break
        return sorted(state.found, key=lambda found: _order(found.candidate))[:limit]

    async def _refill(
        self, state: _Gathered, query: IndexQuery, condition: Condition, limit: int, threshold: float
    ) -> None:
        """Get candidates that were not looked at and whose question has no hit yet."""
        others: list[Condition] = [condition]
        if state.seen:
            others.append(Among(fields.ID, sorted(state.seen), negated=True))
        if state.closed:
            others.append(Among(fields.QUESTION_HASH, sorted(state.closed), negated=True))
        asked = min(max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * limit), MAX_MATCHES)
        try:
            with metrics.search_part("search"):
                matches = await self._index.search(query, asked, Every(others))
        except VectorIndexError as error:
            raise UnavailableError(str(error), error.retry_after) from error
        state.exhausted = len(matches) < asked
        sums = [self._scorer.evidence(match.evidence) for match in matches]
        candidates = [
            Candidate(match, round(evidence, 6), score, rank)
            for rank, (match, evidence) in enumerate(zip(matches, sums, strict=True), start=state.ranked + 1)
            if (score := self._scorer.score(evidence, query.mode)) >= threshold
        ]
        state.ranked += len(matches)
        # Milvus Lite can hold a row twice (ADR 9); of two versions, one is the present one.
        distinct = {(one.match.id, one.match.version): one for one in candidates}
        state.waiting = sorted(distinct.values(), key=_order)

    async def _confirmed(self, batch: Sequence[Candidate]) -> list[Found]:
        """The candidates that still are the present version of their conversation, with its texts."""
        present = {row.id: row for row in await self.rows([one.match.id for one in batch])}
        found = [
            Found(one, present[one.match.id])
            for one in batch
            if one.match.id in present and present[one.match.id].version == one.match.version
        ]
        if len(found) < len(batch):
            metrics.STALE_HITS.inc(len(batch) - len(found))
            log.info(STALE_HITS_DROPPED, count=len(batch) - len(found))
        return found

    async def rows(self, ids: Sequence[int]) -> list[Conversation]:
        """Return those of these conversations that there are. Raises as `gather`."""
        try:
            with metrics.search_part("fetch"):
                return (await self._conversations.conversations.list(ids=ids, limit=len(ids))).items
        except MHError as error:
            raise unavailable(error) from error


def _taken(state: _Gathered, wanted: int, *, of_each: int) -> list[Candidate]:
    """Take the next candidates off those that wait, `of_each` of a question at most."""
    batch: list[Candidate] = []
    left: list[Candidate] = []
    taken: Counter[int] = Counter()
    for candidate in state.waiting:
        question = candidate.match.question
        if len(batch) == wanted or taken[question] == of_each:
            left.append(candidate)
        else:
            taken[question] += 1
            batch.append(candidate)
    state.waiting = left
    return batch


def _add(state: _Gathered, found: Sequence[Found], *, grouped: bool) -> None:
    """Add what was confirmed; if `grouped` the best of each question, and let its others go."""
    if not grouped:
        state.found += found
        return
    for one in found:
        if one.candidate.match.question not in state.closed:
            state.closed.add(one.candidate.match.question)
            state.found.append(one)
    state.waiting = [one for one in state.waiting if one.match.question not in state.closed]


def _order(candidate: Candidate) -> tuple[float, int]:
    return -candidate.evidence, candidate.match.id


def unavailable(error: MHError) -> UnavailableError:
    """Log that a call of the conversations API failed, and return what that means to a user."""
    log.warning(CONVERSATIONS_FAILED, error=type(error).__name__)
    if isinstance(error, APIStatusError):
        message = f"The conversations API, which holds the texts, answers {error.status_code}."
        return UnavailableError(message, math.ceil(error.retry_after or 5))
    if isinstance(error, APITimeoutError):
        reason = "does not answer in time"
    else:
        reason = "cannot be reached" if isinstance(error, APIConnectionError) else "gave an unreadable answer"
    return UnavailableError(f"The conversations API, which holds the texts, {reason}.", retry_after=5)
