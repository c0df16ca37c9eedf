"""Ranking of stretches: how likely it is that a counselor can use one for a question.

The probability is a logistic function of the features below. `mh_devtools.passages.fit_weights` fits the weights to
stretches that were rated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final, NamedTuple

import numpy as np

from rag_api.passages.kinds import Kind, Kinds, Vectors
from rag_api.passages.relations import people_in, somebodys_people_in
from rag_api.passages.stems import stems_of
from rag_api.passages.stretches import Stretch
from rag_api.search.views import query_views

MANY_WORDS: Final = 10
"""Words of a question, of those that say something: no passage has more of a longer one."""


class Features(NamedTuple):
    """What is known of a stretch and a question.

    Attributes:
        client: cosine similarity to the question as the client would put it.
        words: share of the words of the question that it has, or others that mean the same, of at most MANY_WORDS.
        source: how relevant its source is to the question, from 0 to 1, on the curve of the weights.
        worth: probability that it is advice or an explanation, the mean of its sentences.
        empty: highest probability of a sentence that it is filler or a question.
        strangers: number of relations ("your husband") that it takes for granted and the question does not name.
    """

    client: float
    words: float
    source: float
    worth: float
    empty: float
    strangers: float


class Limits(NamedTuple):
    """Which stretches may be quoted.

    Attributes:
        best: the least usefulness of the best one, from 0 to 1. It is lower than for others: one passage too many is
            passed over sooner than an answer without any.
        others: the least usefulness of the others.
        below_best: how much less useful than the best one they may be.
    """

    best: float
    others: float
    below_best: float

    def lowest(self, best: float | None) -> float:
        """Return the least usefulness of the next one, given that of the best one, if that is chosen already."""
        return self.best if best is None else max(self.others, best - self.below_best)


NO_LIMITS: Final = Limits(best=-math.inf, others=-math.inf, below_best=math.inf)
"""For stretches all of which may be quoted."""


class Curve(NamedTuple):
    """A logistic curve of log odds, which makes differences count where the sources of a question differ."""

    slope: float
    offset: float


UNCHANGED: Final = Curve(1.0, 0.0)


@dataclass(frozen=True)
class Weights:
    """Weights of the features, what is added to them, and the limits for what may be quoted.

    `source_curve` turns the log odds of a source's relevance into a feature: most sources are relevant, some more so.
    """

    of: Features
    offset: float
    limits: Limits
    source_curve: Curve = UNCHANGED

    def source(self, relevance: float) -> float:
        """Return the feature of a source with this relevance."""
        # As if it were known to six digits, which are all that a search tells.
        likely = min(max(relevance, 1e-6), 1 - 1e-6)
        slope, offset = self.source_curve
        return 1 / (1 + math.exp(-(slope * math.log(likely / (1 - likely)) + offset)))

    def usefulness(self, found: Features) -> float:
        """Return the probability that a stretch with these features is useful."""
        return 1 / (1 + math.exp(-(self.offset + sum(map(mul, self.of, found)))))


UNKNOWN_MODEL: Final = Weights(
    of=Features(client=8.0, words=0.0, source=0.0, worth=0.0, empty=0.0, strangers=-2.0),
    offset=-4.0,
    limits=Limits(best=0.0, others=0.0, below_best=1.0),
)
"""For embedding models whose similarities are not known: it orders, and leaves nothing out."""

_RATED: Final = Weights(
    of=Features(client=0.4, words=2.2, source=1.6, worth=0.9, empty=-1.1, strangers=-1.5),
    offset=-2.7,
    limits=Limits(best=0.15, others=0.3, below_best=0.2),
    source_curve=Curve(slope=0.696, offset=-2.605),
)

MODEL_WEIGHTS: Final[Mapping[str, Weights]] = {
    "all-MiniLM-L6-v2": _RATED,
    # No passage was rated that it chose. The two features that are its own count little, and relevance means the same.
    "all-mpnet-base-v2": _RATED,
}
"""By embedding model, whose cosine similarities are distributed in their own way."""


@dataclass(frozen=True)
class Query:
    """A question.

    Attributes:
        concepts: for each word that says something, the stems of which one must occur.
        people: the relations that it names.
    """

    concepts: tuple[tuple[str, ...], ...]
    people: frozenset[str]

    @classmethod
    def of(cls, text: str) -> "Query":
        """Return the question with this text."""
        return cls(query_views(text).concepts, people_in(text))


def known_features(query: Query, found: Sequence[Stretch], scores: Mapping[int, float]) -> list[Features]:
    """Return the features of stretches that need no vectors; the others are 0.

    Args:
        query: the question.
        found: the stretches.
        scores: the feature of each source, by number.
    """
    sentences = dict.fromkeys(text for one in found for text in one.sentences)
    read = {text: _read(query, text) for text in sentences}
    return [_known([read[text] for text in one.sentences], query, scores[one.source]) for one in found]


@dataclass(frozen=True)
class _Sentence:
    """What counts of a sentence: by number the concepts of the question that it has, and strangers."""

    concepts: frozenset[int]
    strangers: frozenset[str]


def _read(query: Query, text: str) -> _Sentence:
    stems = stems_of(text)
    concepts = frozenset(number for number, one in enumerate(query.concepts) if not stems.isdisjoint(one))
    return _Sentence(concepts, somebodys_people_in(text) - query.people)


def _known(sentences: Sequence[_Sentence], query: Query, score: float) -> Features:
    shared = frozenset[int]().union(*(one.concepts for one in sentences))
    strangers = frozenset[str]().union(*(one.strangers for one in sentences))
    return Features(
        client=0.0,
        words=min(1.0, len(shared) / max(1, min(len(query.concepts), MANY_WORDS))),
        source=score,
        worth=0.0,
        empty=0.0,
        strangers=float(len(strangers)),
    )


def completed(known: Features, similarity: float, kinds: Sequence[Kinds]) -> Features:
    """Return all features of a stretch.

    Args:
        known: those that need no vectors.
        similarity: that of its vector to the question's.
        kinds: the probability of each kind for each of its sentences.
    """
    return known._replace(
        client=similarity,
        worth=sum(one[Kind.ADVICE] + one[Kind.EXPLANATION] for one in kinds) / len(kinds),
        empty=max(one[Kind.FILLER] + one[Kind.QUESTION] for one in kinds),
    )


def stretch_vector(stretch: Stretch, vectors: Mapping[str, Vectors]) -> Vectors:
    """Return the vector of a stretch: the mean of its sentences' by length, normalised."""
    total = sum(
        (len(sentence) * vectors[sentence] for sentence in stretch.sentences), start=np.zeros(1, dtype=np.float32)
    )
    return total / max(float(np.linalg.norm(total)), 1e-9)


def weights_of(model: str) -> Weights:
    """Return the weights for an embedding model; for one that is not known, without a floor."""
    return MODEL_WEIGHTS.get(model, UNKNOWN_MODEL)
