"""Measuring: alternately, in rounds, after a warm-up.

Machines are shared and their speed varies. Alternating measurements (A B A B) run under the same conditions, so that
the ratio of the two is meaningful even if the two numbers are not.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mh_client import ConversationCreate

Side = Callable[[], float]
"""Runs one of the compared activities once and returns its figure for the round (seconds, or items per second)."""


@dataclass(frozen=True)
class Goal:
    """The target of a figure."""

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Return whether the value reaches the goal."""
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
        name: what was measured, and what it is compared with.
        unit: unit of the values; "times" for a ratio.
        goal: None for figures that are reported without one.
        values: one for each round.
        sides: the measurements that the values were computed from, by description and unit, one for each round.
        note: what readers need to know to interpret it.
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
        """Whether the median reaches the goal; true without a goal."""
        return self.goal is None or self.goal.met(self.value)


@dataclass(frozen=True)
class Scale:
    """How much is measured. There are always at least five rounds; a smaller scale shortens each round."""

    rounds: int
    seconds: float
    """Duration of one slice of requests."""
    search_seconds: float
    """Duration of one slice of searches, which take longer, and of reads that are compared between sizes."""
    clients: tuple[int, ...]
    sizes: tuple[int, ...]
    """Conversations in the index, for searches and growth."""
    import_rows: int
    index_rows: int
    """Rows per round with the stub embedder."""
    model_rows: int
    """Rows per round with the local model, which is slow."""
    answers: int
    """Answers per round."""
    starts: int
    """Starts of each program."""
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
    """The input of a section: a folder of its own, the scale, and the conversations to measure with."""

    folder: Path
    scale: Scale
    rows: Sequence[ConversationCreate]


class Section(Protocol):
    """A module of this package that measures one part of the platform."""

    def measure(self, bench: Bench) -> Iterator[Figure]:
        """Yield figures as they are measured."""
        ...


def in_turn(sides: Mapping[str, Side], rounds: int, warm: bool = False) -> dict[str, list[float]]:
    """Measure each side once per round, in this order; unless all are `warm`, discard a first round."""
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
    """Return the duration of `work` in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
