"""Label the sentiment of a text with the VADER lexicon: suitable for filtering, not a clinical signal.

C. J. Hutto and E. Gilbert: VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text.
International AAAI Conference on Weblogs and Social Media, 2014. English only, and unreliable about risk: a sentence
about not wanting to be alive can be labelled positive.
"""

from functools import cache
from typing import Final

from mh_common.models import Sentiment
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

THRESHOLD: Final = 0.05
"""Compound scores from this value up are positive, from its negative down negative, as in the paper."""


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


def label(text: str) -> Sentiment:
    """Return the sentiment of a text by VADER's compound score. Takes time proportional to its length."""
    compound = _analyzer().polarity_scores(text)["compound"]
    if compound >= THRESHOLD:
        return Sentiment.POSITIVE
    return Sentiment.NEGATIVE if compound <= -THRESHOLD else Sentiment.NEUTRAL
