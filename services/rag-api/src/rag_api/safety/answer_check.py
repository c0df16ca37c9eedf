"""Hold what a language model writes against the rules of unsafe advice, while it is written or as a whole."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from mh_common.advice import MAX_SENTENCE, names_a_disorder, unsafe_advice, unsafe_sentences
from mh_common.models import Risk, UnsafeAdvice, Withheld
from mh_common.sentences import Span, sentence_spans

from rag_api.safety.crisis_words import points_to_safety

_REASONS: Final[dict[UnsafeAdvice, str]] = {
    UnsafeAdvice.MEDICATION: "stopping, changing or refusing medication without who prescribes it",
    UnsafeAdvice.DIAGNOSIS: "giving a diagnosis",
    UnsafeAdvice.MINIMISING: "playing the matter down",
    UnsafeAdvice.ULTIMATUM: "a threat, an ultimatum or a rash separation",
    UnsafeAdvice.FRIGHTENING: "frightening, shaming, pressing or isolating somebody",
    UnsafeAdvice.SILENCE: "not asking about a danger",
    UnsafeAdvice.SECRECY: "keeping a danger secret",
    UnsafeAdvice.LEAVING_ALONE: "leaving somebody alone who may be in danger",
    UnsafeAdvice.DELAY: "waiting, or doing without help, where it is needed",
    UnsafeAdvice.NO_HARM_CONTRACT: "relying on a promise not to harm oneself",
    UnsafeAdvice.ENCOURAGING_HARM: "harm to oneself or to others",
}
_UNSAFE: Final = (
    "The language model's suggestion was left out because it contained advice that can do harm ({reasons})."
)
_NOT_ADDRESSED: Final = (
    "The language model's suggestion was left out because it did not speak to the risk noticed in the question."
)
_INSTEAD: Final = "Read the notice of risk in its place, and the conversations in the sources."
_SOURCES: Final = "Read the conversations in the sources."
_ONE_LEFT_OUT: Final = (
    "One sentence of the language model was left out because it contained advice that can do harm ({reasons})."
)
_SOME_LEFT_OUT: Final = (
    "{count} sentences of the language model were left out because they contained advice that can do harm ({reasons})."
)

# "… at night. [1] Then …": the citation belongs to the sentence before it.
_LEADING_CITATIONS: Final = re.compile(r"^(?:[^\S\n]*\[\d+\])+\s*")


class TextCheck(Protocol):
    """Checks a text that arrives in chunks, once. What `feed` and `finish` return, joined, is what may be shown.

    It is the same however the text was split on arrival. The attributes are complete after `finish`.

    Attributes:
        passed: the part of it that the language model wrote.
        left_out: why, for each of its sentences that was left out.
        withheld: why all of it was left out; None if it was not.
    """

    passed: str
    left_out: list[UnsafeAdvice]
    withheld: Withheld | None

    def feed(self, chunk: str) -> str:
        """Add the next chunk; return the text that may be shown now, which may be empty."""
        ...

    def finish(self) -> str:
        """Return the rest; there are no further chunks. Empty if there was no text at all."""
        ...


def make_check(question: str, risk: Risk) -> TextCheck:
    """Return the check for an answer to a question in which this risk was noticed."""
    # What the counselor knows is no diagnosis of ours.
    excluding = (UnsafeAdvice.DIAGNOSIS,) if names_a_disorder(question) else ()
    return WholeCheck(excluding) if risk.level.needs_notice else SentenceCheck(excluding)


class _Check:
    """What both checks find out.

    Args:
        excluding: kinds of unsafe advice that are not looked for.
    """

    def __init__(self, excluding: Collection[UnsafeAdvice] = ()) -> None:
        self.passed = ""
        self.left_out: list[UnsafeAdvice] = []
        self.withheld: Withheld | None = None
        self._excluding = excluding


class SentenceCheck(_Check):
    """Checks sentence by sentence, each before it is shown, and says at the end what was left out."""

    def __init__(self, excluding: Collection[UnsafeAdvice] = ()) -> None:
        super().__init__(excluding)
        self._waiting = ""
        self._follows_omission = False

    def feed(self, chunk: str) -> str:
        """See `TextCheck.feed`."""
        self._waiting += chunk
        return self._take_all(at_end=False)

    def finish(self) -> str:
        """See `TextCheck.finish`."""
        shown = self._take_all(at_end=True)
        if not self.left_out:
            return shown
        if self.passed:
            return f"{shown}\n\n{_remark(self.left_out)}"
        self.withheld = Withheld.UNSAFE_ADVICE
        return f"{_UNSAFE.format(reasons=_reasons(self.left_out))} {_SOURCES}"

    def _take_all(self, *, at_end: bool) -> str:
        shown = ""
        while span := self._complete_sentence(at_end=at_end):
            shown += self._take(span)
        return shown

    def _complete_sentence(self, *, at_end: bool) -> Span | None:
        """Return the first sentence that is waiting; None if it may continue in the next chunk.

        A sentence that is longer than any is taken in parts, so that a text without full stops is not held back.
        """
        spans = sentence_spans(self._waiting)
        if not spans:
            return None
        start, end = spans[0]
        if len(spans) == 1 and not at_end and end - start <= 2 * MAX_SENTENCE:
            return None
        if end - start <= MAX_SENTENCE:
            return spans[0]
        space = self._waiting.rfind(" ", start + 1, start + MAX_SENTENCE)
        return start, space if space > 0 else start + MAX_SENTENCE

    def _take(self, span: Span) -> str:
        """Remove the first sentence, with what comes before it, from what is waiting; return what of it is shown."""
        start, end = span
        between, sentence, self._waiting = self._waiting[:start], self._waiting[start:end], self._waiting[end:]
        if self._follows_omission:
            sentence = _LEADING_CITATIONS.sub("", sentence)
        if kind := unsafe_advice(sentence, excluding=self._excluding):
            self.left_out.append(kind)
            sentence = ""
        self._follows_omission = not sentence
        if not sentence:
            return ""
        shown = between + sentence if self.passed else (between + sentence).lstrip()
        self.passed += shown
        return shown


class WholeCheck(_Check):
    """Shows nothing before all of it is checked: where there is danger, one sentence can spoil the others."""

    def __init__(self, excluding: Collection[UnsafeAdvice] = ()) -> None:
        super().__init__(excluding)
        self._text = ""

    def feed(self, chunk: str) -> str:
        """See `TextCheck.feed`."""
        self._text += chunk
        return ""

    def finish(self) -> str:
        """See `TextCheck.finish`."""
        if not self._text:
            return ""
        self.left_out = list(unsafe_sentences(self._text, at_risk=True, excluding=self._excluding))
        if self.left_out:
            self.withheld = Withheld.UNSAFE_ADVICE
            return f"{_UNSAFE.format(reasons=_reasons(self.left_out))} {_INSTEAD}"
        if not points_to_safety(self._text):
            self.withheld = Withheld.RISK_NOT_ADDRESSED
            return f"{_NOT_ADDRESSED} {_INSTEAD}"
        self.passed = self._text
        return self._text


def _remark(left_out: Sequence[UnsafeAdvice]) -> str:
    text = _ONE_LEFT_OUT if len(left_out) == 1 else _SOME_LEFT_OUT
    return text.format(count=len(left_out), reasons=_reasons(left_out))


def _reasons(kinds: Sequence[UnsafeAdvice]) -> str:
    return "; ".join(_REASONS[kind] for kind in Counter(kinds))
