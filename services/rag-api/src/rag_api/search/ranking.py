"""Ranking: combine the scores of the parts of a search into the evidence of each match, and score it.

The evidence is a weighted sum of

- the cosine similarities of the query to the question and to question and answer,
- the BM25 score, which is unbounded and therefore squashed to below 1,
- the share of the query's words, and of its pairs of adjacent words, that occur in the conversation, each weighted by
  how few of the matches have it,
- the crowding, which counts against a match.

Hits are ordered by evidence; `calibration.py` turns it into the score, from 0 to 1.
`mh_devtools.search.fit_weights` fits the weights.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from mh_common.models import SearchMode
from mh_common.units import UnitKey

from rag_api.search.calibration import Calibration, calibrations
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

    `relevance` is what the score would be if nothing else had been found, `words` None in modes other than hybrid.
    """

    match: Match
    evidence: float
    score: float
    relevance: float
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
        settings: weights, and a calibration and a threshold that override the model's in hybrid mode.
    """

    def __init__(self, model: str, settings: SearchSettings) -> None:
        self._question_weight = settings.question_weight
        self._keyword_weight = settings.keyword_weight
        self._calibrations = calibrations(model, settings)
        self._threshold = settings.relevance_threshold

    def threshold(self, mode: SearchMode) -> float | None:
        """Return the relevance below which even the best hit counts as irrelevant; None if it is unknown."""
        if self._threshold is not None and mode is SearchMode.HYBRID:
            return self._threshold
        calibration = self._calibrations.get(mode)
        return calibration.threshold if calibration else None

    def ranking(
        self, views: QueryViews, mode: SearchMode, *, min_score: float = 0.0, min_relevance: float = 0.0
    ) -> "Ranking":
        """Return the ranking of the matches of a query, without those whose score or relevance is below the minimum."""
        return Ranking(self, views, mode, min_score, min_relevance)

    def calibration(self, mode: SearchMode) -> Calibration | None:
        """Return the calibration of this mode; without one, scores are no probabilities."""
        return self._calibrations.get(mode)

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

    def share_of_most(self, evidence: float, mode: SearchMode) -> float:
        """Return the share of the maximum evidence, which is the score without a calibration."""
        most = 1 + self._keyword_weight + WORDS_WEIGHT + PAIRS_WEIGHT if mode is SearchMode.HYBRID else 1
        return min(max(evidence / most, 0.0), 1.0)


class Ranking:
    """Ranks the matches of one query, as the index returns them.

    The rivals of all hits are among the first matches, so that a hit's score does not depend on how many follow.
    """

    def __init__(
        self, ranker: Ranker, views: QueryViews, mode: SearchMode, min_score: float, min_relevance: float
    ) -> None:
        self._ranker = ranker
        self._views = views
        self._mode = mode
        self._min_score = min_score
        self._min_relevance = min_relevance
        self._calibration = ranker.calibration(mode)
        self._rivals = 0.0
        self._ranked = 0

    def rank(self, matches: Sequence[Match]) -> list[Candidate]:
        """Return the next matches, best first, each version of a conversation once."""
        hybrid = self._mode is SearchMode.HYBRID
        shares = word_scores(self._views, matches) if hybrid else [None] * len(matches)
        evidence = [self._ranker.combine(match.scores, words) for match, words in zip(matches, shares, strict=True)]
        if self._calibration and matches and not self._ranked:
            self._rivals = self._calibration.rivals(_best_by_question(matches, evidence))
        found = []
        places = enumerate(zip(matches, evidence, shares, strict=True), start=self._ranked + 1)
        for rank, (match, own, words) in places:
            score, relevance = self._score(own)
            if score >= self._min_score and relevance >= self._min_relevance:
                found.append(Candidate(match, round(own, 6), score, relevance, rank, words))
        self._ranked += len(matches)
        # Milvus Lite can hold a row twice (ADR 9); of two versions, one is current.
        distinct = {one.match.unit: one for one in found}
        return sorted(distinct.values(), key=lambda one: one.sort_key)

    def _score(self, evidence: float) -> tuple[float, float]:
        """Return score and relevance."""
        if self._calibration is None:
            share = round(self._ranker.share_of_most(evidence, self._mode), 6)
            return share, share
        score = self._calibration.score(evidence, self._rivals)
        return round(score, 6), round(self._calibration.relevance(evidence), 6)


def _best_by_question(matches: Sequence[Match], evidence: Sequence[float]) -> Collection[float]:
    best: dict[int, float] = {}
    for match, own in zip(matches, evidence, strict=True):
        best[match.question_hash] = max(own, best.get(match.question_hash, own))
    return best.values()


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
