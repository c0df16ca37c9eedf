"""The screeners."""

from collections.abc import Sequence

from mh_common.models.risk import Risk
from mh_common.risk.lexicon import Lexicon, load_lexicon
from mh_common.risk.protocol import RiskScreener
from mh_common.risk.screening import risk_of, screen_by_lexicon, spans_of


class LexiconScreener:
    """Screens by the lexicon alone; a `RiskScreener`."""

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self._lexicon = lexicon or load_lexicon()

    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        """See `RiskScreener.screen`."""
        return [self.screen_now(text) for text in texts]

    def screen_now(self, text: str) -> Risk:
        """Return what is noticed in a text, without an event loop."""
        return risk_of(spans_of(screen_by_lexicon(text, self._lexicon)))

    async def close(self) -> None:
        """See `RiskScreener.close`."""


def make_screener() -> RiskScreener:
    """Return the screener of this installation."""
    return LexiconScreener()
