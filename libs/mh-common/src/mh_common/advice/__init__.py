"""Advice that can do harm: noticed by rules of words, sentence by sentence."""

from mh_common.advice.check import MAX_SENTENCE, names_a_disorder, rules_name, unsafe_advice, unsafe_sentences

__all__ = ["MAX_SENTENCE", "names_a_disorder", "rules_name", "unsafe_advice", "unsafe_sentences"]
