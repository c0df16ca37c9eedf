"""Which sentences of a conversation may be quoted: they were written for another person, and stand alone."""

import re
from functools import lru_cache
from typing import Final

from mh_common.advice import unsafe_advice
from mh_common.advice.patterns import any_of

from rag_api.safety.crisis_words import names_a_contact, points_to_safety

# "You said you are alone": true of the person who asked then, and not of this patient.
_OF_THE_OTHER: Final = any_of(
    r"\byou(?:['\u2019]ve| have)? (?:\w+ )?(?:said|mention(?:ed)?|wrote|stated?|told (?:me|us)|described?|indicated?|"
    r"noted|shared|reported?|posted|explained)\b(?! (?:no|yes|so|sorry|goodbye|hello|hi|anything|nothing)\b)",
    r"\bin your (?:(?:specific|particular|own) )?(?:example|case|situation)\b",
    r"\bby your own admission\b",
)
# Explanations that no counselor can rely on.
_ESOTERIC: Final = any_of(
    r"\b(?:previous|past|former|earlier) (?:life|lives|incarnations?)\b(?! (?:experience|event|stress|with|together))",
    r"\b(?:reincarnat\w*|karm(?:a|ic)|horoscopes?|astrolog\w*|chakras?|your aura|spirit guides?)\b",
)
_QUESTION: Final = re.compile(r"[?\u00bf\uff1f]\W*$")


@lru_cache(maxsize=4096)
def may_be_passed_on(sentence: str, *, at_risk: bool = False) -> bool:
    """Return whether a sentence may be passed on: to a reader or, `at_risk` or not, to a language model."""
    lower = sentence.lower()
    is_idle = _OF_THE_OTHER.search(lower) or _ESOTERIC.search(lower)
    return not is_idle and unsafe_advice(sentence, at_risk=at_risk) is None


def may_be_quoted_at_risk(sentence: str) -> bool:
    """Return whether a sentence may be quoted where danger was noticed in the question.

    It must point to safety itself, and name no telephone number or address: those in the notice have a source. No
    question, which was meant for the person who asked then.
    """
    return (
        points_to_safety(sentence)
        and not _QUESTION.search(sentence)
        and not names_a_contact(sentence)
        and unsafe_advice(sentence, at_risk=True) is None
        and _OF_THE_OTHER.search(sentence.lower()) is None
    )
