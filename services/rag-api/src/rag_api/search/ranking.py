"""From what the parts of a search say of a conversation to one score, from 0 to 1.

The evidence is a weighted sum: the cosines of the query with the question and with question and answer, and the BM25
score, which has no upper bound and is bent to below 1. Hits are ordered by it. A logistic curve makes the score of it,
the likelihood that such evidence belongs to a conversation on what was asked. How cosines lie differs from model to
model, so each has a curve of its own, fitted by `mh_devtools.search.calibrate`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from mh_common.models import SearchMode

from rag_api.search.index import Evidence, Match
from rag_api.settings import SearchSettings

KEYWORD_HALF: Final = 20.0
"""The BM25 score that is bent to a half: about what a question's words together get from a fitting conversation."""


@dataclass(frozen=True)
class Curve:
    """A logistic curve.

    Attributes:
        slope, offset: what the evidence is multiplied with, and what is added to that.
        threshold: the score below which a best hit is none; None where evidence of this kind cannot tell.
    """

    slope: float
    offset: float
    threshold: float | None = None

    def at(self, evidence: float) -> float:
        """Return the score."""
        return 1 / (1 + math.exp(-min(max(self.slope * evidence + self.offset, -60.0), 60.0)))


MODEL_CURVES: Final[Mapping[str, Mapping[SearchMode, Curve]]] = {
    "all-MiniLM-L6-v2": {
        SearchMode.HYBRID: Curve(slope=14.2, offset=-8.8, threshold=0.07),
        SearchMode.SEMANTIC: Curve(slope=15.4, offset=-7.2, threshold=0.1),
    },
}
"""By the embedder's model; how they were measured stands in docs/adr/0022-scores-are-calibrated-by-model.md."""

KEYWORD_CURVE: Final = Curve(slope=15.2, offset=-4.9)
"""The same for every model, as none is asked. Shared words alone do not tell a question that is out of place."""


class Candidate(NamedTuple):
    """A match with its score, and its rank among all that the index gave, the parts joined."""

    match: Match
    evidence: float
    score: float
    fusion_rank: int

    @property
    def place(self) -> tuple[float, int]:
        """Sorts the best first; equal evidence by id."""
        return -self.evidence, self.match.id


class Ranker:
    """Scores, and orders by them, what was found with one embedding model.

    Args:
        model: the embedder's model.
        settings: weights, and what wins over the table in the hybrid mode.
    """

    def __init__(self, model: str, settings: SearchSettings) -> None:
        self._question_weight = settings.question_weight
        self._keyword_weight = settings.keyword_weight
        self._curves = {SearchMode.KEYWORD: KEYWORD_CURVE, **MODEL_CURVES.get(model, {})}
        if settings.slope is not None and settings.offset is not None:
            self._curves[SearchMode.HYBRID] = Curve(settings.slope, settings.offset)
        self._threshold = settings.relevance_threshold

    def calibrated(self, mode: SearchMode) -> bool:
        """Whether scores of this mode were measured, and mean a likelihood."""
        return mode in self._curves

    def threshold(self, mode: SearchMode) -> float | None:
        """Return the score below which a best hit is none; None where nobody knows one."""
        if self._threshold is not None and mode is SearchMode.HYBRID:
            return self._threshold
        curve = self._curves.get(mode)
        return curve.threshold if curve else None

    def rank(
        self, matches: Sequence[Match], mode: SearchMode, *, threshold: float = 0.0, ranked_before: int = 0
    ) -> list[Candidate]:
        """Return the matches whose score reaches the threshold, each version of a conversation once, the best first.

        Args:
            matches: as the index gave them.
            mode: of the search.
            threshold: the least score.
            ranked_before: how many the index gave before these.
        """
        sums = [self.evidence(match.evidence) for match in matches]
        candidates = [
            Candidate(match, round(evidence, 6), score, rank)
            for rank, (match, evidence) in enumerate(zip(matches, sums, strict=True), start=ranked_before + 1)
            if (score := self.score(evidence, mode)) >= threshold
        ]
        # Milvus Lite can hold a row twice (ADR 9); of two versions, one is the present one.
        distinct = {(one.match.id, one.match.version): one for one in candidates}
        return sorted(distinct.values(), key=lambda one: one.place)

    def evidence(self, found: Evidence) -> float:
        """Return the weighted sum of the parts that were asked."""
        keywords = None if found.keywords is None else found.keywords / (found.keywords + KEYWORD_HALF)
        if found.question is None or found.text is None:
            return keywords or 0.0
        meaning = self._question_weight * found.question + (1 - self._question_weight) * found.text
        return meaning if keywords is None else meaning + self._keyword_weight * keywords

    def score(self, evidence: float, mode: SearchMode) -> float:
        """Return the score of such a sum; without a curve, its part of the most that there can be."""
        if curve := self._curves.get(mode):
            return round(curve.at(evidence), 6)
        most = 1 + self._keyword_weight if mode is SearchMode.HYBRID else 1
        return round(min(max(evidence / most, 0.0), 1.0), 6)
