"""A clock that a test sets."""

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Clock:
    """Says what time it is, when called: always `now`, until the test moves that on."""

    now: datetime

    def __call__(self) -> datetime:
        """Return `now`."""
        return self.now
