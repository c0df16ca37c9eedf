"""How things are measured: in turn, round after round, after a warm-up.

Machines are shared and change their speed; what is done in turn (A B A B) meets the same conditions, so that a ratio of
the two holds where the two numbers would not.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mh_client import ConversationCreate

Side = Callable[[], float]
"""Does one thing that is compared, once, and returns its figure for that round (seconds, or items a second)."""


@dataclass(frozen=True)
class Goal:
    """What a figure should be."""

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Say whether the value is good enough."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


def at_least(bound: float) -> Goal:
    """Return the goal of a figure that should be high."""
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    """Return the goal of a figure that should be low."""
    return Goal(bound, at_least=False)


@dataclass(frozen=True)
class Figure:
    """One line of the report.

    Attributes:
        name: what it is, with what it is compared to.
        unit: of the values; "times" for a ratio.
        goal: None for what is reported without one.
        values: one of each round.
        sides: the figures that the values come from, by what was measured and its unit, one of each round.
        note: what a reader must know to judge it.
    """

    name: str
    unit: str
    goal: Goal | None
    values: Sequence[float]
    sides: Mapping[str, Sequence[float]] = field(default_factory=dict)
    note: str = ""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median reaches the goal; true where there is none."""
        return self.goal is None or self.goal.met(self.value)


@dataclass(frozen=True)
class Scale:
    """How much is done. The rounds are never fewer than five; what is shortened is what a round does."""

    rounds: int
    seconds: float
    """Of one slice of requests."""
    search_seconds: float
    """Of one slice of searches, which take longer, and of reads that are compared between sizes."""
    clients: tuple[int, ...]
    sizes: tuple[int, ...]
    """Conversations in the index, for searches and growth."""
    import_rows: int
    index_rows: int
    """Of a round with an embedder that costs nothing."""
    model_rows: int
    """Rows of a round with the local model, which is slow."""
    answers: int
    """Of a round."""
    starts: int
    """Of each program."""
    soak_seconds: int


FULL = Scale(
    rounds=5,
    seconds=0.2,
    search_seconds=0.3,
    clients=(1, 16, 64),
    sizes=(2_000, 20_000, 100_000),
    import_rows=2_009,
    index_rows=1_500,
    model_rows=64,
    answers=24,
    starts=4,
    soak_seconds=600,
)
QUICK = Scale(
    rounds=5,
    seconds=0.1,
    search_seconds=0.2,
    clients=(1, 16),
    sizes=(2_000,),
    import_rows=300,
    index_rows=300,
    model_rows=16,
    answers=6,
    starts=1,
    soak_seconds=10,
)


@dataclass(frozen=True)
class Bench:
    """What a section gets: a folder of its own, how much to do, and conversations to do it with."""

    folder: Path
    scale: Scale
    rows: Sequence[ConversationCreate]


class Section(Protocol):
    """A module of this package that measures one part of the platform."""

    def measure(self, bench: Bench) -> Iterator[Figure]:
        """Yield figures as they become known."""
        ...


def in_turn(sides: Mapping[str, Side], rounds: int, warm: bool = False) -> dict[str, list[float]]:
    """Measure each side once a round, in the order given, after a round that does not count unless all are `warm`."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(0 if warm else -1, rounds):
        for name, side in sides.items():
            value = side()
            if number >= 0:
                measured[name].append(value)
    return measured


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(of, to, strict=True)]


def differences(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Return the difference of each round."""
    return [a - b for a, b in zip(of, to, strict=True)]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
