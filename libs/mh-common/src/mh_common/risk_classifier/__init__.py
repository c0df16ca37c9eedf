"""Risk screening by lexicon and classifier together, for services that have the local model."""

from mh_common.risk_classifier.screener import JoinedScreener, make_screener

__all__ = ["JoinedScreener", "make_screener"]
