"""Risk screening: notices words that often mean danger, by a lexicon, sentence by sentence."""

from mh_common.risk.protocol import RiskScreener
from mh_common.risk.screener import LexiconScreener

__all__ = ["LexiconScreener", "RiskScreener"]
