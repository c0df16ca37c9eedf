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


def choose(
    rated: Sequence[RatedStretch],
    limits: Limits,
    may_be_quoted: Callable[[str], bool] = lambda _: True,
    *,
    most: int = MAX_QUOTES,
    several_of_answer: bool = False,
) -> list[RatedStretch]:
    """Return up to `most` stretches within the limits, the most useful first.

    None is like one before it, each of their sentences may be quoted, and no two are from the same answer unless
    `several_of_answer` may be.
    """
    chosen: list[RatedStretch] = []
    for one in _ranked(rated):
        if len(chosen) == most or one.usefulness < limits.lowest(chosen[0].usefulness if chosen else None):
            break
        is_from_another = several_of_answer or all(one.stretch.source != other.stretch.source for other in chosen)
        is_new = is_from_another and all(float(one.vector @ other.vector) < ALIKE for other in chosen)
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
