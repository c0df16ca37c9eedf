"""Which text of the sources stands in a prompt: as much as fits, whole sentences, the most relevant first."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.models import Source

from rag_api.answers.sentences import sentence_spans
from rag_api.answers.tokens import TokenCounter, bytes_of, count_prefixes

JOINT: Final = 2
"""Tokens added for each text, as where it meets the lines around it other tokens may come about."""

LOOKED_AT: Final = 8
"""Characters of a text looked at for each token there is room for: prose has four to five."""


@dataclass(frozen=True)
class Excerpt:
    """What of a source stands in a prompt. `number` is its citation; `is_cut` tells that text was left out."""

    number: int
    question: str
    answer: str
    is_cut: bool


@dataclass(frozen=True)
class Fitted:
    """A beginning of a text, and its tokens."""

    text: str
    tokens: int


NOTHING: Final = Fitted("", 0)


def fit(sources: Sequence[Source], budget: int, counter: TokenCounter, each: int = 0) -> list[Excerpt]:
    """Cut the sources' texts to `budget` tokens in all, of which each source costs `each` besides its texts.

    What does not fit is left out from the end, that is from the least relevant source on, by whole sentences: once text
    of a source is left out, no later source is in. Where a source does not fit as a whole its question takes at most
    half of what is left, since the advice is in the answer. A source whose answer begins with a sentence too long for
    the whole budget can never stand in a prompt and is passed over.
    """
    if _surely_fits(sources, budget, each):
        return [Excerpt(number, one.question, one.answer, False) for number, one in enumerate(sources, 1) if one.answer]
    excerpts: list[Excerpt] = []
    left = budget
    for number, source in enumerate(sources, start=1):
        fitted = _fit_source(source, left - each, counter)
        if fitted is None and _fit_source(source, budget - each, counter) is None:
            continue
        if fitted is None:
            break
        question, answer = fitted
        is_cut = (question.text, answer.text) != (source.question, source.answer)
        excerpts.append(Excerpt(number, question.text, answer.text, is_cut))
        if is_cut:
            break
        left -= each + question.tokens + answer.tokens
    return excerpts


def _surely_fits(sources: Sequence[Source], budget: int, each: int) -> bool:
    """Most prompts are far below their budget: these need no counting."""
    characters = sum(len(source.question) + len(source.answer) for source in sources)
    most = len(sources) * (each + 2 * JOINT)
    if characters + most > budget:
        return False
    return sum(bytes_of(source.question) + bytes_of(source.answer) for source in sources) + most <= budget


def _fit_source(source: Source, room: int, counter: TokenCounter) -> tuple[Fitted, Fitted] | None:
    """Question and answer; None where not even a sentence of the answer fits."""
    question = _fit_text(source.question, room, counter)
    answer = _fit_text(source.answer, room - question.tokens, counter)
    if (question.text, answer.text) != (source.question, source.answer):
        question = _fit_text(source.question, room // 2, counter)
        answer = _fit_text(source.answer, room - question.tokens, counter)
    if not answer.text:
        question, answer = NOTHING, _fit_text(source.answer, room, counter)
    return (question, answer) if answer.text else None


def _fit_text(text: str, room: int, counter: TokenCounter) -> Fitted:
    """The text, or its beginning up to the end of a sentence that fits into `room` tokens; else nothing."""
    room -= JOINT
    if room <= 0:
        return NOTHING
    looked_at = room * LOOKED_AT
    ends = [end for _, end in sentence_spans(text, looked_at)]
    if len(text) <= looked_at:
        ends = sorted({*ends, len(text)})
    tokens = count_prefixes(counter, text[:looked_at], ends)
    fitting = list(itertools.takewhile(lambda pair: pair[1] <= room, zip(ends, tokens, strict=True)))
    if not fitting:
        return NOTHING
    end, used = fitting[-1]
    return Fitted(text[:end], used + JOINT)
