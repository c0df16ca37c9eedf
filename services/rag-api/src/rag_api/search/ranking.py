"""Ranking: combine the scores of the parts of a search into one calibrated score from 0 to 1.

The evidence is a weighted sum of

- the cosine similarities of the query to the question and to question and answer,
- the BM25 score, which is unbounded and therefore squashed to below 1,
- the share of the query's words, and of its pairs of adjacent words, that occur in the conversation, each weighted by
  how few of the matches have it,
- the crowding, which counts against a match.

Hits are ordered by evidence. A logistic curve (Platt scaling) maps it to the score: the probability that a conversation
with this evidence is relevant. Cosine similarities are distributed differently for each embedding model, so each model
has its own curve, fitted by `mh_devtools.search.calibrate`; `mh_devtools.search.fit_weights` fits the weights.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from mh_common.models import SearchMode
from mh_common.units import UnitKey

from rag_api.search.index import ComponentScores, Match
from rag_api.search.views import QueryViews
from rag_api.settings import SearchSettings

BM25_HALF_SATURATION: Final = 20.0
"""The BM25 score that is squashed to 0.5: about what a whole question scores against a relevant conversation."""

WORDS_WEIGHT: Final = 0.1
PAIRS_WEIGHT: Final = 0.1
CROWDING_WEIGHT: Final = -0.3
"""Weights relative to 1 for the semantic score, like SEARCH_KEYWORD_WEIGHT."""

MAX_SCANNED: Final = 20_000
"""Characters of a conversation's stems in which words are looked for: a huge text must not block other requests."""


@dataclass(frozen=True)
class CalibrationCurve:
    """A logistic curve.

    Attributes:
        slope, offset: the score is the logistic function of `slope * evidence + offset`.
        threshold: even the best hit counts as irrelevant below this score; None if this evidence cannot tell.
    """

    slope: float
    offset: float
    threshold: float | None = None

    def score(self, evidence: float) -> float:
        """Return the score for this evidence."""
        return 1 / (1 + math.exp(-min(max(self.slope * evidence + self.offset, -60.0), 60.0)))


MODEL_CURVES: Final[Mapping[str, Mapping[SearchMode, CalibrationCurve]]] = {
    "all-MiniLM-L6-v2": {
        SearchMode.HYBRID: CalibrationCurve(slope=14.2, offset=-8.8, threshold=0.07),
        SearchMode.SEMANTIC: CalibrationCurve(slope=15.4, offset=-7.2, threshold=0.1),
    },
}
"""By embedding model. How they were fitted: docs/adr/0022-scores-are-calibrated-by-model.md."""

KEYWORD_CURVE: Final = CalibrationCurve(slope=15.2, offset=-4.9)
"""Used with every model, since keyword mode needs none. Shared words alone cannot reveal an off-topic question."""


class WordScores(NamedTuple):
    """How much of a query's words a match has, from 0 to 1.

    Attributes:
        words: the share of its words, or of words that mean the same.
        pairs: the share of its pairs of adjacent words.
    """

    words: float
    pairs: float


class Candidate(NamedTuple):
    """A match with its evidence, its score, and its rank (from 1) in the fused result of the index.

    `words` is None in modes other than hybrid.
    """

    match: Match
    evidence: float
    score: float
    fusion_rank: int
    words: WordScores | None = None

    @property
    def sort_key(self) -> tuple[float, UnitKey]:
        """Sorts the best first, and equal evidence by key."""
        return -self.evidence, self.match.unit.key


class Ranker:
    """Scores and orders matches found with one embedding model.

    Args:
        model: the embedding model.
        settings: weights, and a curve and threshold that override the table in hybrid mode.
    """

    def __init__(self, model: str, settings: SearchSettings) -> None:
        self._question_weight = settings.question_weight
        self._keyword_weight = settings.keyword_weight
        self._curves = {SearchMode.KEYWORD: KEYWORD_CURVE, **MODEL_CURVES.get(model, {})}
        if settings.slope is not None and settings.offset is not None:
            self._curves[SearchMode.HYBRID] = CalibrationCurve(settings.slope, settings.offset)
        self._threshold = settings.relevance_threshold

    def is_calibrated(self, mode: SearchMode) -> bool:
        """Whether there is a fitted curve for this mode, so that scores are probabilities."""
        return mode in self._curves

    def threshold(self, mode: SearchMode) -> float | None:
        """Return the score below which even the best hit counts as irrelevant; None if it is unknown."""
        if self._threshold is not None and mode is SearchMode.HYBRID:
            return self._threshold
        curve = self._curves.get(mode)
        return curve.threshold if curve else None

    def rank(
        self,
        matches: Sequence[Match],
        views: QueryViews,
        mode: SearchMode,
        *,
        threshold: float = 0.0,
        rank_offset: int = 0,
    ) -> list[Candidate]:
        """Return the matches whose score reaches the threshold, best first, each version of a conversation once.

        Args:
            matches: in the order of the index.
            views: of the query that they match.
            mode: the search mode.
            threshold: the minimum score.
            rank_offset: how many matches the index returned before these.
        """
        shares = word_scores(views, matches) if mode is SearchMode.HYBRID else [None] * len(matches)
        candidates = []
        for rank, (match, words) in enumerate(zip(matches, shares, strict=True), start=rank_offset + 1):
            evidence = self.combine(match.scores, words)
            if (score := self.score(evidence, mode)) >= threshold:
                candidates.append(Candidate(match, round(evidence, 6), score, rank, words))
        # Milvus Lite can hold a row twice (ADR 9); of two versions, one is current.
        distinct = {one.match.unit: one for one in candidates}
        return sorted(distinct.values(), key=lambda one: one.sort_key)

    def combine(self, found: ComponentScores, words: WordScores | None = None) -> float:
        """Return the evidence: the weighted sum of the scores that the mode has."""
        keywords = None if found.keywords is None else found.keywords / (found.keywords + BM25_HALF_SATURATION)
        if found.question is None or found.text is None:
            return keywords or 0.0
        evidence = self._question_weight * found.question + (1 - self._question_weight) * found.text
        evidence += CROWDING_WEIGHT * (found.crowding or 0.0)
        if keywords is not None:
            evidence += self._keyword_weight * keywords
        if words is not None:
            evidence += WORDS_WEIGHT * words.words + PAIRS_WEIGHT * words.pairs
        return evidence

    def score(self, evidence: float, mode: SearchMode) -> float:
        """Return the calibrated score of this evidence or, without a curve, its share of the maximum evidence."""
        if curve := self._curves.get(mode):
            return round(curve.score(evidence), 6)
        most = 1 + self._keyword_weight + WORDS_WEIGHT + PAIRS_WEIGHT if mode is SearchMode.HYBRID else 1
        return round(min(max(evidence / most, 0.0), 1.0), 6)


def word_scores(views: QueryViews, matches: Sequence[Match]) -> list[WordScores]:
    """Return how much of the query's words each match has.

    A word that few of the matches have weighs more, as in BM25; the matches stand for the index, whose frequencies
    Milvus does not tell. A word of the same meaning counts as the word itself.
    """
    texts = [match.words[:MAX_SCANNED] for match in matches]
    stems = [frozenset(text.split()) for text in texts]
    weights = {word: _rarity(sum(word in found for found in stems), len(matches)) for word, *_ in views.concepts}
    pair_weights = {pair: weights[pair[0]] + weights[pair[1]] for pair in views.pairs}
    most, most_in_pairs = sum(weights.values()), sum(pair_weights.values())
    return [
        WordScores(
            words=_share((weights[one[0]] for one in views.concepts if not found.isdisjoint(one)), most),
            pairs=_share(
                (weight for pair, weight in pair_weights.items() if f" {' '.join(pair)} " in text), most_in_pairs
            ),
        )
        for text, found in zip(texts, stems, strict=True)
    ]


def _rarity(having: int, all_matches: int) -> float:
    """Return the inverse document frequency as in BM25; positive even for what all matches have."""
    return math.log(1 + (all_matches - having + 0.5) / (having + 0.5))


def _share(weights: Iterable[float], most: float) -> float:
    return round(sum(weights) / most, 6) if most else 0.0
