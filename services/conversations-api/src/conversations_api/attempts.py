"""Limits attempts to guess a password."""

import math
import time
from typing import Any, Final, cast

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter
from limits.errors import StorageError
from mh_common.errors import TooManyAttemptsError
from redis.asyncio import Redis

log = structlog.get_logger(__name__)

MINUTES: Final = 15
BY_USERNAME: Final = RateLimitItemPerMinute(10, MINUTES, "sign-in-username")
BY_ADDRESS: Final = RateLimitItemPerMinute(100, MINUTES, "sign-in-address")

LIMITS_WITHOUT_REDIS: Final = "attempt_limits_without_redis"


class SignInAttempts:
    """Counts attempts in Redis, for all processes together; while Redis is away, in each process for itself."""

    def __init__(self, redis: Redis) -> None:
        storage = RedisStorage(
            "async+redis://",
            wrap_exceptions=True,
            implementation="redispy",
            connection_pool=cast(Any, redis.connection_pool),
        )
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())

    async def count(self, username: str | None, address: str | None = None) -> None:
        """Count an attempt. Raises TooManyAttemptsError, with the seconds to wait, if there were too many."""
        for limit, by in ((BY_USERNAME, username), (BY_ADDRESS, address)):
            if by is not None and (wait := await self._hit(limit, by)) is not None:
                message = f"Too many attempts. Try again in {wait} seconds."
                raise TooManyAttemptsError(message, wait)

    async def _hit(self, limit: RateLimitItem, by: str) -> int | None:
        try:
            return await _hit(self._shared, limit, by)
        except StorageError as error:
            log.warning(LIMITS_WITHOUT_REDIS, error=type(error.storage_error).__name__)
            return await _hit(self._own, limit, by)


async def _hit(limiter: RateLimiter, limit: RateLimitItem, by: str) -> int | None:
    """Count a hit; return the seconds until the next window if there were too many."""
    if await limiter.hit(limit, by):
        return None
    reset, _ = await limiter.get_window_stats(limit, by)
    return max(1, math.ceil(reset - time.time()))
