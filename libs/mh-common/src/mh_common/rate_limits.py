"""Counts what callers do against their quotas (ADR 68)."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

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
SHARE: Final = 100
"""A process claims this part of a quota at a time, so that most requests cost no call of Redis."""
_CLEANED_EVERY_S: Final = 60.0


@dataclass
class _Claim:
    """What a process has claimed of a quota, for a caller and a period.

    Attributes:
        ends: when the period does, in seconds since 1970.
        left: requests that were claimed and not made.
        used_up: whether there is nothing left to claim.
    """

    ends: float
    left: int = 0
    used_up: bool = False


class RateLimits:
    """Counts in Redis, for all processes and replicas of a service; while Redis is away, in each process for itself.

    Periods are the clock's, so at the change of two up to twice the quota is possible in a short time. A process claims
    a hundredth of a quota at a time: with several processes a caller may be refused that much earlier for each.

    Args:
        quotas: by name.
        redis: with a short timeout; None: each process counts for itself.
        service: whose requests are counted.
        clock: returns seconds since 1970.
    """

    def __init__(
        self, quotas: Mapping[str, Quota], redis: Redis | None, service: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._by_scope = {quota.scope: quota for quota in quotas.values() if quota.scope is not None}
        self._of_a_day = quotas.get(ANSWERS_OF_A_DAY)
        self._redis = redis
        self._service = service
        self._clock = clock
        self._claims: dict[str, _Claim] = {}
        self._own: dict[str, int] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._away_until = -math.inf
        self._clean_at = -math.inf

    async def count(self, principal: Principal, scopes: Collection[Scope]) -> None:
        """Count a request that needs these scopes. Raises QuotaExceededError if a quota of the caller is used up."""
        quotas = [self._by_scope[scope] for scope in scopes if scope in self._by_scope]
        if quotas and (who := _account_of(principal)) is not None:
            await self._count(quotas, who)

    async def count_answer(self, principal: Principal, person: str | None) -> None:
        """Count an answer for the person without an account for whom a caller acts, or for the caller itself.

        Raises QuotaExceededError if their quota of the day is used up.
        """
        if self._of_a_day is not None and (who := _account_of(principal)) is not None:
            await self._count([self._of_a_day], who if person is None else f"{who}:{person}")

    async def _count(self, quotas: Sequence[Quota], who: str) -> None:
        now = self._clock()
        wanted = self._take(quotas, who, now)
        if not wanted:
            return
        # One request claims at a time, and the others of this caller then take of what it has got.
        lock = self._locks.setdefault(who, asyncio.Lock())
        async with lock:
            wanted = self._take(wanted, who, now)
            claims = [self._claim_of(quota, who, now) for quota in wanted]
            shares = [_share(quota) for quota in wanted]
            if not wanted:
                return
            totals = await self._add([(key, share) for (key, _), share in zip(claims, shares, strict=True)], wanted)
            for quota, (_, claim), share, total in zip(wanted, claims, shares, totals, strict=True):
                usable = min(share, quota.most - (total - share))
                if usable < 1:
                    claim.used_up = True
                    raise _refusal(quota, claim, now)
                claim.left = usable - 1

    def _take(self, quotas: Sequence[Quota], who: str, now: float) -> Sequence[Quota]:
        """Take one of each quota of what was claimed; return those of which nothing is left here."""
        wanted = []
        for quota in quotas:
            _, claim = self._claim_of(quota, who, now)
            if claim.left:
                claim.left -= 1
            elif claim.used_up:
                raise _refusal(quota, claim, now)
            else:
                wanted.append(quota)
        return wanted

    def _claim_of(self, quota: Quota, who: str, now: float) -> tuple[str, _Claim]:
        number = int(now // quota.seconds)
        key = f"{quota.name}:{number}:{who}"
        claim = self._claims.get(key) or self._new_claim(key, (number + 1) * quota.seconds, now)
        return key, claim

    def _new_claim(self, key: str, ends: float, now: float) -> _Claim:
        if now >= self._clean_at:
            self._clean_at = now + _CLEANED_EVERY_S
            self._claims = {name: claim for name, claim in self._claims.items() if claim.ends > now}
            self._own = {name: total for name, total in self._own.items() if name in self._claims}
        claim = self._claims[key] = _Claim(ends)
        return claim

    async def _add(self, claims: Sequence[tuple[str, int]], quotas: Sequence[Quota]) -> Sequence[int]:
        """Add to the totals of these quotas, which have these keys, in one round trip; return the totals."""
        if self._redis is not None and self._clock() >= self._away_until:
            try:
                pipeline = self._redis.pipeline(transaction=False)
                for (key, by), quota in zip(claims, quotas, strict=True):
                    pipeline.incrby(f"mh:rate:{self._service}:{key}", by)
                    pipeline.expire(f"mh:rate:{self._service}:{key}", quota.seconds)
                return (await pipeline.execute())[::2]
            except (RedisError, OSError) as error:
                self._away_until = self._clock() + AWAY_S
                log.warning(LIMITS_WITHOUT_REDIS, error=type(error).__name__)
        for key, by in claims:
            self._own[key] = self._own.get(key, 0) + by
        return [self._own[key] for key, _ in claims]


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


def _account_of(principal: Principal) -> str | None:
    """Return who has the quota: an account, whatever it was recognised by; None: who has none."""
    if principal.credential is CredentialKind.SERVICE_KEY or principal.user_id is None:
        return None
    return str(principal.user_id)


def _share(quota: Quota) -> int:
    return max(1, quota.most // SHARE)


def _refusal(quota: Quota, claim: _Claim, now: float) -> QuotaExceededError:
    REFUSED.labels(quota.name).inc()
    return QuotaExceededError(quota.name, quota.most, quota.noun, quota.period, max(1, math.ceil(claim.ends - now)))
