"""A kind of advice that can do harm, and how its words are read in a sentence."""

import re
from dataclasses import dataclass
from typing import Final

from mh_common.advice.patterns import any_of
from mh_common.models import UnsafeAdvice

PATIENT: Final = (
    r"(?:(?:your|the|this|that) (?:\w+ )?(?:patient|client|person|child|kid|son|daughter|boy|girl|teen(?:ager)?|"
    r"adolescent|man|woman|husband|wife|partner|boyfriend|girlfriend|friend|mother|father|mom|mum|dad|parents?|"
    r"family|sister|brother))"
)
HIM: Final = rf"(?:him|her|them|someone|somebody|people|{PATIENT})"
HE: Final = rf"(?:he|she|they|{PATIENT})"

# What comes before a command.
_COMMAND: Final = r"(?:^\W*|[,;:.!\u2013\u2014(] *\"?|\b(?:and|but|so|then|just|simply|please) )"
_COMMANDED: Final = any_of(rf"{_COMMAND}$")
# What comes before advice: "you should", "tell him to", "it is fine to". Not "if you", "those who", "they want to".
_ADVISED: Final = any_of(
    rf"{_COMMAND}$",
    rf"\b(?:you|we|i|patients|clients|{HE}) (?:should|could|can|must|needs? to|ha(?:ve|s) to|ought to|had better|"
    r"may|might) (?:just |simply |also |safely |certainly |still |then )?$",
    rf"\b(?:try to|recommend|suggest|consider|try|advise)(?: that)?(?: you| {HE})? $",
    rf"\b(?:tell|ask|advise|encourage|urge|get|allow|help|let|have) {HIM}(?: to)? $",
    rf"\b(?:okay|ok|fine|safe|best|better|time|alright|good idea|right) (?:for (?:you|{HIM}) )?to $",
)

# What turns the words after it around, within the same clause or, where a rule says so, the same sentence.
_NEGATION: Final = any_of(
    r"\b(?:not|no|never|nobody|without|avoid\w*|instead of|rather than|before|against|refrain\w*|unhelpful|harmful|"
    r"wrong|mistake|myth|dangerous|risky|unsafe|resist\w*|prevent\w*|cannot|beware|careful|tempt\w*)\b",
    r"n't\b",
    r"\b(?:nicht|kein\w*|nie(?:mals)?|ohne|statt|nunca|jam[aá]s|sin|evite\w*|jamais|sans|plut[oô]t que|[eé]vite\w*|"
    r"ne)\b|\bn'",
)
# What makes them somebody else's, or a thought that is spoken about.
_REPORTED: Final = any_of(
    r"\b(?:say|says|said|saying|think|thinks|thought|thinking|believe[sd]?|believing|tells?|told|telling|claim(?:s|"
    r"ed)?|feels?|felt|feeling|fears?|feared|assum\w+|wonder\w*|worr(?:y|ied)|pretend\w*|call(?:s|ed)?|label\w*|"
    r"mention\w*|wrote|shared|stated|(?<!what you )describ\w+|know|knows|knew|news|fact|sense|conclusion|"
    r"idea) (?:(?:that|like|as|it|us|me|you|him|her|them|people|others|sel\w+|\w+sel(?:f|ves)) )*[\"':]? ?$",
    r"\b(?:thought|belief|idea|fear|message|lie|feeling)s? (?:that|like|is) ",
    r"\b(?:if|whether|unless|as though|as if|do you|are you|is it|when (?:you|i|we|they|he|she|someone)|who|which) ",
)
_CLAUSE: Final = re.compile(r"[,;:.!?(\u2013\u2014] ?|\b(?:and|but|so|because|und|aber|y|pero|et|mais) ")


@dataclass(frozen=True)
class Rule:
    """A kind of advice, and the words that are it.

    Attributes:
        always: words that are it whatever stands before them.
        says: words that are it wherever they stand, unless what stands before turns them around.
        advises: words that are it where somebody is advised to do something.
        commands: words that are it at the beginning of a clause, as a command.
        unless: words anywhere in the sentence that make it sensible.
        at_risk: only where a danger was noticed in the question; sensible, or idle, otherwise.
        in_sentence: a negation counts anywhere before the words, not only in the same clause.
    """

    kind: UnsafeAdvice
    always: re.Pattern[str] | None = None
    says: re.Pattern[str] | None = None
    advises: re.Pattern[str] | None = None
    commands: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    at_risk: bool = False
    in_sentence: bool = False

    @property
    def source(self) -> tuple[str | bool | None, ...]:
        """All that it says, as text."""
        patterns = (self.always, self.says, self.advises, self.commands, self.unless)
        return (self.kind.value, *(pattern and pattern.pattern for pattern in patterns), self.in_sentence)

    def applies(self, sentence: str) -> bool:
        """Return whether the sentence gives this advice."""
        # What makes it sensible is looked for last: hardly any sentence comes so far.
        return self._has_words(sentence) and not (self.unless is not None and self.unless.search(sentence))

    def _has_words(self, sentence: str) -> bool:
        if self.always is not None and self.always.search(sentence):
            return True
        parts = ((self.says, None), (self.advises, _ADVISED), (self.commands, _COMMANDED))
        return any(self._gives(sentence, words, introduction) for words, introduction in parts if words is not None)

    def _gives(self, sentence: str, words: re.Pattern[str], introduction: re.Pattern[str] | None) -> bool:
        for found in words.finditer(sentence):
            before = sentence[: found.start()]
            is_introduced = introduction is None or introduction.search(before) is not None
            if is_introduced and not self._is_turned_around(before):
                return True
        return False

    def _is_turned_around(self, before: str) -> bool:
        clause = before[max((found.end() for found in _CLAUSE.finditer(before)), default=0) :]
        negated = before if self.in_sentence else clause
        return bool(_NEGATION.search(negated) or _REPORTED.search(clause))


SHARED: Final = (_ADVISED, _COMMANDED, _NEGATION, _REPORTED, _CLAUSE)
"""What all rules read a sentence by."""
