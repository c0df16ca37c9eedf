"""How long to wait before asking a busy server again. No I/O: the caller sleeps."""

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_RETRY_AFTER_S: Final = 3600.0
"""A server that asks for more is believed for one hour only, then asked again."""


@dataclass(frozen=True)
class Backoff:
    """Full-jitter exponential backoff: a random wait below a ceiling that doubles from `base_s` up to `ceiling_s`.

    Full jitter (rather than a fixed schedule) spreads clients that failed together, so they do not return together.
    """

    base_s: float = 0.5
    ceiling_s: float = 20.0
    jitter: Callable[[], float] = random.random

    def wait(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after this many failures in a row (from 1); never less than the server asked for."""
        # The exponent is bounded because 2.0 ** 1024 overflows.
        ceiling = min(self.ceiling_s, self.base_s * 2.0 ** min(failures - 1, 32))
        return max(self.jitter() * ceiling, retry_after or 0.0)


def retry_after_of(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds a response asks to wait, one hour at most, from `retry-after-ms` or `Retry-After`.

    `headers` must look names up without regard to case, or hold them in lower case. None: absent or unreadable.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    asked = parse_retry_after(headers.get("retry-after"), now) if milliseconds is None else milliseconds / 1000
    return None if asked is None else min(asked, LONGEST_RETRY_AFTER_S)


def parse_retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a Retry-After header (seconds or an HTTP date) asks to wait; a date in the past gives 0.

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
