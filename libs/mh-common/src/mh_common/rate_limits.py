"""Counts what callers do against their quotas (ADR 68), and attempts to sign in."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

import structlog
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter
from limits.errors import StorageError
from redis.asyncio import BlockingConnectionPool, Redis

from mh_common.auth.principals import Principal
from mh_common.auth.quotas import ANSWERS_OF_A_DAY, Quota
from mh_common.auth.roles import Scope
from mh_common.errors import QuotaExceededError
from mh_common.metrics import Counter
from mh_common.models import CredentialKind

log = structlog.get_logger(__name__)

LIMITS_WITHOUT_REDIS: Final = "rate_limits_without_redis"
REFUSED: Final = Counter("mh_rate_limited_total", "Requests refused because a quota was used up.", ("quota",))

REDIS_TIMEOUT: Final = 0.25
"""Seconds that a request waits for Redis at most."""
MAX_CONNECTIONS: Final = 16
"""Most connections of a process for counting."""
AWAY_S: Final = 5.0
"""Seconds for which each process counts for itself before it tries Redis again."""

_ITEMS: Final = {"minute": RateLimitItemPerMinute, "hour": RateLimitItemPerHour, "day": RateLimitItemPerDay}


class SharedCounters:
    """Counts in Redis, for all processes together; while Redis is away, in each process for itself.

    Args:
        redis: with a short timeout; None: each process counts for itself.
        clock: returns seconds since some time.
    """

    def __init__(self, redis: Redis | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shared = None if redis is None else FixedWindowRateLimiter(_storage(redis))
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._away_until = -math.inf

    async def hit(self, limit: RateLimitItem, *by: str) -> int | None:
        """Count one; return None, or the seconds until there is more if there were too many.

        Args:
            limit: how many there may be, and in which time from the first.
            by: whose they are.
        """
        if self._shared is not None and self._clock() >= self._away_until:
            try:
                return await _hit(self._shared, limit, by)
            except StorageError as error:
                self._away_until = self._clock() + AWAY_S
                log.warning(LIMITS_WITHOUT_REDIS, error=type(error.storage_error).__name__)
        return await _hit(self._own, limit, by)


class RateLimits:
    """Counts what accounts do. A quota begins with the first request that it counts, and begins anew when it is over.

    Args:
        quotas: by name.
        counters: counts.
        service: whose requests are counted.
    """

    def __init__(self, quotas: Mapping[str, Quota], counters: SharedCounters, service: str) -> None:
        self._by_scope = {quota.scope: quota for quota in quotas.values() if quota.scope is not None}
        self._of_a_day = quotas.get(ANSWERS_OF_A_DAY)
        self._items = {quota.name: _ITEMS[quota.period](quota.most, namespace=quota.name) for quota in quotas.values()}
        self._counters = counters
        self._service = service

    async def count(self, principal: Principal, scopes: Collection[Scope]) -> None:
        """Count a request that needs these scopes. Raises QuotaExceededError if a quota of the caller is used up."""
        if (who := _account_of(principal)) is not None:
            for scope in scopes:
                if (quota := self._by_scope.get(scope)) is not None:
                    await self._count(quota, who)

    async def count_answer(self, principal: Principal, person: str | None) -> None:
        """Count an answer for the person without an account for whom a caller acts, or for the caller itself.

        Raises QuotaExceededError if their quota of the day is used up.
        """
        if self._of_a_day is not None and (who := _account_of(principal)) is not None:
            await self._count(self._of_a_day, *((who,) if person is None else (who, person)))

    async def _count(self, quota: Quota, *who: str) -> None:
        if (wait := await self._counters.hit(self._items[quota.name], self._service, *who)) is not None:
            REFUSED.labels(quota.name).inc()
            raise QuotaExceededError(quota.name, quota.most, quota.noun, quota.period, wait)


def redis_for_limits(url: str) -> Redis:
    """Return a client of Redis that a request waits for a short time only."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=REDIS_TIMEOUT,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
    )
    return Redis.from_pool(pool)


def _storage(redis: Redis) -> RedisStorage:
    return RedisStorage(
        "async+redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="mh:rate",
        connection_pool=cast(Any, redis.connection_pool),
    )


async def _hit(limiter: RateLimiter, limit: RateLimitItem, by: tuple[str, ...]) -> int | None:
    if await limiter.hit(limit, *by):
        return None
    reset, _ = await limiter.get_window_stats(limit, *by)
    return max(1, math.ceil(reset - time.time()))


def _account_of(principal: Principal) -> str | None:
    """Return who has the quota: an account, whatever it was recognised by; None: who has none."""
    if principal.credential is CredentialKind.SERVICE_KEY or principal.user_id is None:
        return None
    return str(principal.user_id)
