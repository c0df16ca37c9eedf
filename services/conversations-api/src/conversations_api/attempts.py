"""Limits attempts to guess a password."""

from typing import Final

from limits import RateLimitItemPerMinute
from mh_common.errors import TooManyAttemptsError
from mh_common.rate_limits import SharedCounters

MINUTES: Final = 15
BY_USERNAME: Final = RateLimitItemPerMinute(10, MINUTES, "sign-in-username")
BY_ADDRESS: Final = RateLimitItemPerMinute(100, MINUTES, "sign-in-address")


class SignInAttempts:
    """Counts attempts to sign in."""

    def __init__(self, counters: SharedCounters) -> None:
        self._counters = counters

    async def count(self, username: str | None, address: str | None = None) -> None:
        """Count an attempt. Raises TooManyAttemptsError, with the seconds to wait, if there were too many."""
        for limit, by in ((BY_USERNAME, username), (BY_ADDRESS, address)):
            if by is not None and (wait := await self._counters.hit(limit, by)) is not None:
                message = f"Too many attempts. Try again in {wait} seconds."
                raise TooManyAttemptsError(message, wait)
