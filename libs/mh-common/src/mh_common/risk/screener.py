"""The screener that needs nothing but the lexicon."""

from collections.abc import Sequence

from mh_common.models.risk import Risk, RiskSpan
from mh_common.risk.lexicon import Lexicon, load_lexicon
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
        return risk_of(self.spans(text))

    def spans(self, text: str) -> list[RiskSpan]:
        """Return where in a text something is noticed."""
        return spans_of(screen_by_lexicon(text, self._lexicon))

    async def close(self) -> None:
        """See `RiskScreener.close`."""
