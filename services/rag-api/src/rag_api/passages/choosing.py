"""Choosing passages from the stretches that were rated: few, each of another answer, none like another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rag_api.passages.kinds import Vectors
from rag_api.passages.ranking import Features, Limits
from rag_api.passages.stretches import Stretch

MAX_QUOTES: Final = 3
ALIKE: Final = 0.8
"""Cosine similarity from which two passages say the same."""
MAX_OF_SOURCE: Final = 3
"""Stretches of a conversation that a language model gets."""


class PassageKind(StrEnum):
    """What a passage is, as it is shown."""

    ADVICE = "advice"
    EXPLANATION = "explanation"


@dataclass(frozen=True)
class RatedStretch:
    """A stretch, its vector, how useful it is, what it is, and the features by which its usefulness was told."""

    stretch: Stretch
    vector: Vectors
    usefulness: float
    kind: PassageKind | None
    features: Features | None = None


def choose(rated: Sequence[RatedStretch], limits: Limits, may_be_quoted: Callable[[str], bool]) -> list[RatedStretch]:
    """Return up to MAX_QUOTES stretches, the most useful first.

    No two are from the same answer, none is like one before it, and each of their sentences may be quoted.
    """
    chosen: list[RatedStretch] = []
    for one in _ranked(rated):
        lowest = max(limits.others, chosen[0].usefulness - limits.below_best) if chosen else limits.best
        if len(chosen) == MAX_QUOTES or one.usefulness < lowest:
            break
        is_new = not any(_is_like(one, other) for other in chosen)
        # The rules come last, since they are slow.
        if is_new and all(map(may_be_quoted, one.stretch.sentences)):
            chosen.append(one)
    return chosen


def choose_of_source(
    first: Sequence[RatedStretch], rated: Sequence[RatedStretch], may_be_quoted: Callable[[str], bool]
) -> list[RatedStretch]:
    """Return stretches of one answer in its order: `first`, and the most useful others that do not overlap."""
    chosen = list(first)
    for one in _ranked(rated):
        if len(chosen) >= MAX_OF_SOURCE:
            break
        is_new = not any(set(one.stretch.numbers) & set(other.stretch.numbers) for other in chosen)
        if is_new and all(map(may_be_quoted, one.stretch.sentences)):
            chosen.append(one)
    return sorted(chosen, key=lambda one: one.stretch.first)


def _ranked(rated: Sequence[RatedStretch]) -> list[RatedStretch]:
    return sorted(rated, key=lambda one: (-one.usefulness, one.stretch.source, one.stretch.first))


def _is_like(one: RatedStretch, other: RatedStretch) -> bool:
    return one.stretch.source == other.stretch.source or float(one.vector @ other.vector) >= ALIKE
