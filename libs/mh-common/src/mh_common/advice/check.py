"""Advice that can do harm: sentences that are never quoted, and left out of what a language model writes.

Rules of words, one sentence at a time. A sentence that warns against such advice, or says that somebody else gives it,
passes: "Do not stop your medication without your doctor".
"""

import hashlib
import re
from collections.abc import Collection, Iterator
from typing import Final

from mh_common.advice.rule import SHARED
from mh_common.advice.rules import NAMES_A_DISORDER, RULES
from mh_common.models import UnsafeAdvice
from mh_common.sentences import sentence_spans

READING: Final = 1
"""To be raised when the code reads the same words in another way: rows are then screened again."""

MAX_SENTENCE: Final = 2000
"""Characters of a sentence that are read; a longer one is no sentence."""

# One form for all apostrophes and quotation marks, and none of what Markdown puts around words.
_STRAIGHT: Final = str.maketrans("\u2019\u2018\u201b\u00b4\u201c\u201d\u201e\u201f", "''''\"\"\"\"", "*_`#")
_CITATION: Final = re.compile(r"\s*\[\d+\]")


def unsafe_advice(
    sentence: str, *, at_risk: bool = False, excluding: Collection[UnsafeAdvice] = ()
) -> UnsafeAdvice | None:
    """Return why a sentence must not be passed on; None if no rule speaks against it.

    Args:
        sentence: without regard to citations and emphasis.
        at_risk: a danger was noticed in the question, so what is sensible elsewhere ("leave him alone") is not here.
        excluding: kinds that are not looked for.
    """
    text = " ".join(_CITATION.sub("", sentence[:MAX_SENTENCE].translate(_STRAIGHT)).lower().split())
    for rule in RULES:
        if (at_risk or not rule.at_risk) and rule.kind not in excluding and rule.applies(text):
            return rule.kind
    return None


def unsafe_sentences(
    text: str, *, at_risk: bool = False, excluding: Collection[UnsafeAdvice] = ()
) -> Iterator[UnsafeAdvice]:
    """Yield why, for each sentence of a text that must not be passed on."""
    for start, end in sentence_spans(text):
        if kind := unsafe_advice(text[start:end], at_risk=at_risk, excluding=excluding):
            yield kind


def rules_name() -> str:
    """Return a name for what is noticed whatever the question: another one after any change of the words."""
    words = [pattern.pattern for pattern in (*SHARED, _CITATION)]
    sources = repr([words, *(rule.source for rule in RULES if not rule.at_risk)])
    return f"advice-{READING}-{hashlib.sha256(sources.encode()).hexdigest()[:12]}"


def names_a_disorder(text: str) -> bool:
    """Return whether a text says that somebody has a disorder: to repeat that is no diagnosis."""
    return NAMES_A_DISORDER.search(text.lower()) is not None
