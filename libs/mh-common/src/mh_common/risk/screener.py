"""The screeners."""

import re
from collections.abc import Sequence
from typing import Final

from mh_common.models.risk import Risk, RiskCategory, RiskLevel, RiskSpan
from mh_common.risk.protocol import RiskScreener

_ACUTE: Final = re.compile(r"\b(?:kill (?:my|him|her|them)sel(?:f|ves)|take them all)\b.*\btonight\b", re.IGNORECASE)
_ELEVATED: Final = re.compile(r"\b(?:kill (?:my|him|her|them)sel(?:f|ves)|suicidal)\b", re.IGNORECASE)


class LexiconScreener:
    """Screens by the lexicon alone."""

    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        """See `RiskScreener.screen`."""
        return [_screen(text) for text in texts]

    async def close(self) -> None:
        """See `RiskScreener.close`."""


def make_screener() -> RiskScreener:
    """Return the screener of this installation."""
    return LexiconScreener()


def _screen(text: str) -> Risk:
    for level, pattern in ((RiskLevel.ACUTE, _ACUTE), (RiskLevel.ELEVATED, _ELEVATED)):
        if match := pattern.search(text):
            span = RiskSpan(start=match.start(), end=match.end(), category=RiskCategory.SUICIDE, level=level)
            return Risk(level=level, categories=[RiskCategory.SUICIDE], spans=[span])
    return Risk()
