"""Context packing: fit as much of the sources into a prompt as the token budget allows, in whole sentences."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.models import Source
from mh_common.sentences import sentence_spans

from rag_api.answers.tokens import TokenCounter, count_prefix_tokens, utf8_size

BOUNDARY_TOKENS: Final = 2
"""Tokens added for each text, since its tokenization may change where it meets the lines around it."""

CHARACTERS_PER_TOKEN: Final = 8
"""Characters of a text that are tokenized per token of the budget: prose has four to five characters per token."""


@dataclass(frozen=True)
class Excerpt:
    """The text of a source that is in a prompt. `number` is its citation; `is_cut`: some of its text was left out."""

    number: int
    question: str
    answer: str
    is_cut: bool


@dataclass(frozen=True)
class TruncatedText:
    """The beginning of a text, and its tokens."""

    text: str
    tokens: int


EMPTY: Final = TruncatedText("", 0)


def pack_context(
    sources: Sequence[Source], budget: int, counter: TokenCounter, tokens_per_source: int = 0
) -> list[Excerpt]:
    """Truncate the sources to `budget` tokens in total, where each source costs `tokens_per_source` besides its texts.

    Whole sentences are left out from the end, so from the least relevant source: after a truncated source no other one
    is included. The question of a truncated source takes at most half of the remaining budget, since the advice is in
    the answer. A source whose answer begins with a sentence longer than the whole budget is skipped.
    """
    if _certainly_fits(sources, budget, tokens_per_source):
        return [Excerpt(number, one.question, one.answer, False) for number, one in enumerate(sources, 1) if one.answer]
    excerpts: list[Excerpt] = []
    remaining = budget
    for number, source in enumerate(sources, start=1):
        fitted = _truncate_source(source, remaining - tokens_per_source, counter)
        if fitted is None and _truncate_source(source, budget - tokens_per_source, counter) is None:
            continue
        if fitted is None:
            break
        question, answer = fitted
        is_cut = (question.text, answer.text) != (source.question, source.answer)
        excerpts.append(Excerpt(number, question.text, answer.text, is_cut))
        if is_cut:
            break
        remaining -= tokens_per_source + question.tokens + answer.tokens
    return excerpts


def _certainly_fits(sources: Sequence[Source], budget: int, tokens_per_source: int) -> bool:
    """Return whether everything certainly fits, without counting tokens: no text has more tokens than bytes."""
    characters = sum(len(source.question) + len(source.answer) for source in sources)
    most = len(sources) * (tokens_per_source + 2 * BOUNDARY_TOKENS)
    if characters + most > budget:
        return False
    return sum(utf8_size(source.question) + utf8_size(source.answer) for source in sources) + most <= budget


def _truncate_source(source: Source, room: int, counter: TokenCounter) -> tuple[TruncatedText, TruncatedText] | None:
    """Return question and answer, truncated to `room` tokens; None if not even one sentence of the answer fits."""
    question = _truncate(source.question, room, counter)
    answer = _truncate(source.answer, room - question.tokens, counter)
    if (question.text, answer.text) != (source.question, source.answer):
        question = _truncate(source.question, room // 2, counter)
        answer = _truncate(source.answer, room - question.tokens, counter)
    if not answer.text:
        question, answer = EMPTY, _truncate(source.answer, room, counter)
    return (question, answer) if answer.text else None


def _truncate(text: str, room: int, counter: TokenCounter) -> TruncatedText:
    """Return the text, or its longest beginning of whole sentences that fits into `room` tokens."""
    room -= BOUNDARY_TOKENS
    if room <= 0:
        return EMPTY
    window = room * CHARACTERS_PER_TOKEN
    ends = [end for _, end in sentence_spans(text, window)]
    if len(text) <= window:
        ends = sorted({*ends, len(text)})
    tokens = count_prefix_tokens(counter, text[:window], ends)
    fitting = list(itertools.takewhile(lambda pair: pair[1] <= room, zip(ends, tokens, strict=True)))
    if not fitting:
        return EMPTY
    end, used = fitting[-1]
    return TruncatedText(text[:end], used + BOUNDARY_TOKENS)
