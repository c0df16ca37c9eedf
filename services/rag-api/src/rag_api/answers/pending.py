"""An answer on its way: its sources are found, its text is still to come."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from mh_common.models import (
    NOT_SCREENED,
    AnswerRisk,
    AnswerSources,
    CheckedSentence,
    Risk,
    SearchHit,
    SearchRequest,
    SearchResult,
    Source,
)

from rag_api.answers.generators import Generation
from rag_api.answers.query_rewriting import StandaloneQuery
from rag_api.answers.sent import SentRecord
from rag_api.search.approval import HeldBack


@dataclass(frozen=True)
class Found:
    """What was searched for a question, when the search began (`time.perf_counter`), and what was found.

    `held_back` is what may not be a source, counted only if nothing else was found.
    """

    query: StandaloneQuery
    rewritten: float
    search: SearchRequest
    result: SearchResult
    held_back: HeldBack


@dataclass(frozen=True)
class PendingAnswer:
    """An answer whose sources are found and whose text is still to be generated."""

    answer_id: UUID
    user: str | None
    question: str
    risk: AnswerRisk
    disclaimer: str
    found: Found
    hits: Sequence[SearchHit]
    """The sources: the hits of the search, and further answers to their questions that are quoted."""

    generation: Generation
    deadline: float
    started: float
    rewrite_ms: float
    search_ms: float
    sent: SentRecord
    """What was sent to servers so far."""
    show_sent: bool
    """Whether the caller wants to see it."""

    @property
    def sources(self) -> AnswerSources:
        """What is known of the answer before it is generated."""
        return AnswerSources(
            answer_id=self.answer_id,
            sources=[source_of(hit) for hit in self.hits],
            standalone_query=self.found.query.text,
            query_origin=self.found.query.origin,
            held_back=self.found.held_back.waiting,
            index_rebuilding=self.found.result.index_rebuilding,
            notice=self.disclaimer,
        )


@dataclass(frozen=True)
class Review:
    """What was found in a text when it was complete.

    Attributes:
        risk: noticed in it, without where.
        sentences: those of a language model, held against what they cite.
        language: that in which a language model wrote; None if it is not known, and for other texts.
        check_ms: how long the sentences took.
    """

    risk: Risk = field(default_factory=lambda: NOT_SCREENED)
    sentences: Sequence[CheckedSentence] = ()
    language: str | None = None
    check_ms: float = 0.0


def source_of(hit: SearchHit) -> Source:
    """Return a hit as a source of an answer."""
    return Source(id=hit.id, question=hit.question, answer=hit.answer, score=hit.score, relevance=hit.relevance)


def milliseconds(seconds: float) -> float:
    """Return a duration as it is shown: in milliseconds, to a tenth."""
    return round(seconds * 1000, 1)
