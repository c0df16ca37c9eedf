"""How long to wait before a retry. No I/O: the caller sleeps."""

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_S: Final = 3600.0
"""Longer waits that a server asks for are cut to one hour."""


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: a random wait below a ceiling that doubles from `base_s` to `ceiling_s`.

    The jitter spreads out clients that failed at the same moment, so that they do not all retry together.
    """

    base_s: float = 0.5
    ceiling_s: float = 20.0
    jitter: Callable[[], float] = random.random

    def wait(self, failures: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after this many consecutive failures (from 1), at least `retry_after`."""
        # The exponent is bounded because 2.0 ** 1024 overflows.
        ceiling = min(self.ceiling_s, self.base_s * 2.0 ** min(failures - 1, 32))
        return max(self.jitter() * ceiling, retry_after or 0.0)


def retry_after_from_headers(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds to wait according to `retry-after-ms` or `Retry-After`, at most one hour.

    `headers` must be case-insensitive or have lower-case names. None: the header is absent or unreadable.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    asked = parse_retry_after(headers.get("retry-after"), now) if milliseconds is None else milliseconds / 1000
    return None if asked is None else min(asked, MAX_RETRY_AFTER_S)


def parse_retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds to wait according to a Retry-After header (seconds or an HTTP date); 0 for a past date.

    None: the header is absent or unreadable.
    """
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        return max(parsedate_to_datetime(value).timestamp() - now(), 0.0)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
