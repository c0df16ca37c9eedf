"""Label a text's sentiment from the VADER lexicon: fit for filtering, never a clinical signal.

C. J. Hutto and E. Gilbert: VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text.
International AAAI Conference on Weblogs and Social Media, 2014. English only, and wrong on risk: a sentence on not
wanting to be alive can count as positive.
"""

from functools import cache
from typing import Final

from mh_common.models import Sentiment
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

THRESHOLD: Final = 0.05
"""Compound scores from here on are positive, from its negative on negative; the paper's own choice."""


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


def label(text: str) -> Sentiment:
    """Return how a text sounds by VADER's compound score. Takes time in proportion to the text."""
    compound = _analyzer().polarity_scores(text)["compound"]
    if compound >= THRESHOLD:
        return Sentiment.POSITIVE
    return Sentiment.NEGATIVE if compound <= -THRESHOLD else Sentiment.NEUTRAL
