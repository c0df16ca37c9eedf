"""Excerpts: what of each answer a language model may rest on."""

import itertools
from collections.abc import Callable, Sequence
from typing import Final

from mh_common.models import Source

from rag_api.passages.choosing import RatedStretch, choose_of_source
from rag_api.passages.stretches import Stretch, sentences_of

OMISSION: Final = " […] "


def excerpts_of(
    sources: Sequence[Source],
    rated: Sequence[RatedStretch],
    quotes: Sequence[RatedStretch],
    is_allowed: Callable[[str], bool],
) -> dict[int, str]:
    """Return by number what of each source may be passed on: quotes and the most useful stretches of it.

    Of a source without any, these are all sentences that may be passed on; a source without such a sentence has none.
    """
    excerpts = {}
    for number, source in enumerate(sources, 1):
        own = [one for one in quotes if one.stretch.source == number]
        others = [one for one in rated if one.stretch.source == number]
        chosen = choose_of_source(own, others, is_allowed)
        parts = [one.stretch for one in chosen] or [
            one for one in sentences_of(number, source.answer) if is_allowed(one.text)
        ]
        if parts:
            excerpts[number] = _joined(parts)
    return excerpts


def _joined(parts: Sequence[Stretch]) -> str:
    """Return the texts, with a mark wherever sentences between them are left out."""
    text = parts[0].text
    for one, next_one in itertools.pairwise(parts):
        text += (" " if next_one.first == one.numbers.stop else OMISSION) + next_one.text
    return text
