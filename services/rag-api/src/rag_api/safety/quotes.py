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
# Explanations and methods that no counselor can rely on.
_UNRELIABLE: Final = any_of(
    r"\b(?:previous|past|former|earlier) (?:life|lives|incarnations?)\b(?! (?:experience|event|stress|with|together))",
    r"\b(?:reincarnat\w*|karm(?:a|ic)|horoscopes?|astrolog\w*|chakras?|your aura|spirit guides?|reiki|tarot|psychics?|"
    r"clairvoyan\w*|metaphysical(?:ly)?)\b",
    r"\bhigher sel(?:f|ves)\b|\b(?:soul|spirit) (?:(?:or|and) \w+ )?(?:is (?:saying|telling|guiding|asking)|wants|"
    r"knows|guides)\b|\bmessages? from (?:our|your|the|his|her|their) (?:soul|spirit|universe)\b",
    r"\bthe dead (?:are|do|can|hear|see|know)\b|\bexpression vibrations\b|\b(?:positive|negative|bad|good) "
    r"vibrations\b",
    r"\bthe universe (?:wants|sends|has (?:a|other) plans?|is (?:telling|sending|trying)|will provide)\b|\blaw of "
    r"attraction\b",
    # What comes back so may never have been.
    r"\b(?:repressed|suppressed|buried|hidden|lost|blocked) memor(?:y|ies)\b|\b(?:recover|bring back|unlock|retrieve|"
    r"regain)(?:s|ing)? (?:(?:the|your|his|her|their|any|lost) )*memor(?:y|ies)\b",
)
_QUESTION: Final = re.compile(r"[?\u00bf\uff1f]\W*$")


@lru_cache(maxsize=4096)
def may_be_passed_on(sentence: str, *, at_risk: bool = False) -> bool:
    """Return whether a sentence may be passed on: to a reader or, `at_risk` or not, to a language model."""
    lower = sentence.lower()
    is_idle = _OF_THE_OTHER.search(lower) or _UNRELIABLE.search(lower)
    return not is_idle and unsafe_advice(sentence, at_risk=at_risk) is None


def may_be_quoted(sentence: str) -> bool:
    """Return whether a sentence may be quoted: besides, it names no telephone number, which may be old or elsewhere."""
    return may_be_passed_on(sentence) and not names_a_contact(sentence)


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
