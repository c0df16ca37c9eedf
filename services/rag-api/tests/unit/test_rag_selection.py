"""Which candidates are hydrated next, and which hits are returned."""

from datetime import UTC, datetime

from mh_common import vector_index as fields
from mh_common.models import Conversation, IndexStatus, Sentiment
from mh_common.units import Unit, conversation_unit
from rag_api.search.filters import In
from rag_api.search.hydration import HydratedHit
from rag_api.search.index import ComponentScores, Match
from rag_api.search.ranking import Candidate
from rag_api.search.selection import MAX_BATCH, MIN_CANDIDATES, Selection

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def candidate(key: int, question: int, evidence: float = 1.0) -> Candidate:
    match = Match(Unit(conversation_unit(key), 1), question, ComponentScores(), 0.0)
    return Candidate(match, evidence, score=evidence, relevance=evidence, fusion_rank=key)


def found(one: Candidate) -> HydratedHit:
    row = Conversation(
        id=one.match.unit.key.source_id,
        version=1,
        created_at=NOW,
        updated_at=NOW,
        question="q",
        answer="a",
        question_sentiment=Sentiment.NEUTRAL,
        answer_sentiment=Sentiment.NEUTRAL,
        index_status=IndexStatus.INDEXED,
    )
    return HydratedHit(one, row)


def ids(batch: list[Candidate]) -> list[int]:
    return [one.match.unit.key.source_id for one in batch]


def test_further_answers_of_a_question_are_hydrated_only_after_stale_ones() -> None:
    selection = Selection(2, grouped=True)
    selection.set_candidates([candidate(key, question=key % 2) for key in range(1, 9)])
    first = selection.next_batch(0)
    assert ids(first) == [1, 2]

    selection.add(first, [found(first[1])])
    second = selection.next_batch(1)
    # Twice the one missing hit, and two answers of its question; the other question has its hit.
    assert ids(second) == [3, 5]
    selection.add(second, [found(one) for one in second])

    assert selection.is_complete
    assert [one.row.id for one in selection.best()] == [2, 3]
    assert selection.exclusions == [
        In(fields.ID, [1, 2, 3, 5], negated=True),
        In(fields.QUESTION_HASH, [0, 1], negated=True),
    ]


def test_without_grouping_all_answers_are_returned_best_first() -> None:
    selection = Selection(3, grouped=False)
    offered = [candidate(4, 1, 0.9), candidate(3, 1, 0.9), candidate(5, 1, 0.5), candidate(6, 1, 0.4)]
    selection.set_candidates(offered)
    batch = selection.next_batch(0)
    selection.add(batch, [found(one) for one in batch])
    assert [one.row.id for one in selection.best()] == [3, 4, 5]
    assert selection.exclusions == [In(fields.ID, [3, 4, 5], negated=True)]
    assert selection.has_candidates


def test_batches_respect_the_limits_of_index_and_api() -> None:
    assert Selection(1, grouped=True).match_limit == MIN_CANDIDATES
    assert Selection(1000, grouped=True).match_limit == 1000
    selection = Selection(100, grouped=False)
    selection.set_candidates([candidate(key, key) for key in range(1, 500)])
    assert len(selection.next_batch(3)) == MAX_BATCH
