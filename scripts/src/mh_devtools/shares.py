"""Shares of what was counted, with the interval in which the true share lies."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

_Z: Final = 1.959964
"""Standard deviations of a normal distribution to each side of its mean that hold 95 % of it."""


@dataclass(frozen=True)
class Share:
    """Some of all, with the bounds of Wilson's interval."""

    some: int
    all: int

    @property
    def value(self) -> float | None:
        """The share, None of nothing."""
        return self.some / self.all if self.all else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The bounds that hold the true share in 95 of 100 samples."""
        if not self.all:
            return None
        share, count = self.some / self.all, self.all
        middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
        half = _Z / (1 + _Z**2 / count) * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if self.value is None or self.interval is None:
            return "none"
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] ({self.some} of {self.all})"
