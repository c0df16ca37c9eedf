"""A clock that a test sets."""

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Clock:
    """Returns `now` when called; the test changes it."""

    now: datetime

    def __call__(self) -> datetime:
        """Return `now`."""
        return self.now
