"""The time of day; services take it as an argument, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment, with its zone."""
    return datetime.now(UTC)
