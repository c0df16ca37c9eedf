"""Calibration: turn the evidence of hits into scores from 0 to 1, differently for each embedding model and mode.

The score of a hit is the probability that it is what was asked for, among everything that was found:

    score = exp(slope · evidence) / (exp(-offset) + Σ exp(slope · evidence of a question found))

which is McFadden's conditional logit (1974, "Conditional Logit Analysis of Qualitative Choice Behavior") with
`exp(-offset)` for the choice that nothing found fits. So the same evidence means much if nothing else comes near, and
little among ten others like it. Hits with more evidence have higher scores, and those of different questions sum up to
less than 1.

The relevance of a hit is the score that it would have if nothing else had been found, the logistic function of
`slope · evidence + offset`. It tells whether a query is about anything here at all.

Both are fitted by `mh_devtools.search.calibrate`; docs/adr/0060-a-score-counts-its-rivals.md says how.
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mh_common.models import SearchMode

from rag_api.settings import SearchSettings

RIVALS: Final = 25
"""The best questions found that a score takes into account. Others hardly change it, but searches differ in how many
they find."""


@dataclass(frozen=True)
class Calibration:
    """How evidence becomes a score.

    Attributes:
        slope: how much evidence counts, above 0.
        offset: the log odds of a hit without evidence against nothing that fits.
        threshold: even the best hit counts as irrelevant below this relevance; None if this evidence cannot tell.
    """

    slope: float
    offset: float
    threshold: float | None = None

    def relevance(self, evidence: float) -> float:
        """Return the score that a hit with this evidence would have if nothing else had been found."""
        return self.score(evidence, -math.inf)

    def rivals(self, best: Iterable[float]) -> float:
        """Return the logarithm of the sum in the score, of the evidence of the best hit of each question found."""
        odds = [self.slope * evidence for evidence in heapq.nlargest(RIVALS, best)]
        most = max(odds)  # taken out, so that nothing overflows
        return most + math.log(sum(math.exp(one - most) for one in odds))

    def score(self, evidence: float, rivals: float) -> float:
        """Return the score of a hit, above that of any hit with less evidence.

        Args:
            evidence: of the hit.
            rivals: what `rivals` returns for everything that the query found, this hit included.
        """
        odds = self.slope * evidence
        # A hit found later can have more evidence than all that was found first, and still scores below 1.
        found = max(rivals, odds)
        all_choices = max(found, -self.offset) + math.log1p(math.exp(-abs(found + self.offset)))
        return math.exp(odds - all_choices)


MODEL_CALIBRATIONS: Final[Mapping[str, Mapping[SearchMode, Calibration]]] = {
    "all-MiniLM-L6-v2": {
        SearchMode.HYBRID: Calibration(slope=20.4, offset=-8.9, threshold=0.54),
        SearchMode.SEMANTIC: Calibration(slope=27.3, offset=-9.5, threshold=0.51),
    },
    "all-mpnet-base-v2": {
        SearchMode.HYBRID: Calibration(slope=20.2, offset=-8.7, threshold=0.38),
        SearchMode.SEMANTIC: Calibration(slope=26.9, offset=-9.6, threshold=0.4),
    },
}
"""By embedding model."""

KEYWORD_CALIBRATION: Final = Calibration(slope=22.1, offset=-6.9)
"""Used with every model, since keyword mode needs none. Shared words alone cannot reveal an off-topic question."""


def calibrations(model: str, settings: SearchSettings) -> dict[SearchMode, Calibration]:
    """Return the calibration of each mode that has one; in hybrid mode, settings override that of the model."""
    known = {SearchMode.KEYWORD: KEYWORD_CALIBRATION, **MODEL_CALIBRATIONS.get(model, {})}
    if settings.slope is not None and settings.offset is not None:
        known[SearchMode.HYBRID] = Calibration(settings.slope, settings.offset)
    return known
