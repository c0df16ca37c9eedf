"""Quotas of accounts: counted for each scope, for all replicas together, and by each process while Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import redis
from conversations_api.accounts import add_key, in_transaction
from conversations_api.settings import FirstAdministratorSettings, Settings
from mh_common.access_settings import RateSettings, ServiceKeySettings
from mh_common.auth.principals import LOCAL, Principal
from mh_common.auth.quotas import changed
from mh_common.auth.roles import Role, Scope
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.errors import QuotaExceededError
from mh_common.models import CredentialKind, PrincipalKind
from mh_common.rate_limits import LIMITS_WITHOUT_REDIS, RateLimits, redis_for_limits
from mh_devtools import servers
from mh_devtools.testing.fixtures import RunApp
from pydantic import SecretStr
from redis.asyncio import Redis
from structlog.testing import capture_logs

pytestmark = pytest.mark.redis

READ: Final = "/api/v1/conversations"
HISTORY: Final = "/api/v1/history"
SEARCH: Final = [Scope.SEARCH]
START: Final = 1_800_000_000.0
"""A whole minute."""


def account(user_id: int, credential: int = 1) -> Principal:
    kind = CredentialKind.API_KEY
    return Principal("a", PrincipalKind.SERVICE, frozenset(Scope), Role.ADMIN, user_id, kind, credential)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def counters(redis_url: str) -> AsyncIterator[Redis]:
    """A Redis database that no other test of this process looks at."""
    client = redis_for_limits(redis_url.removesuffix("/0") + "/10")
    await client.flushdb()
    yield client
    await client.aclose()


async def allowed(limits: RateLimits, who: Principal, most: int = 1000) -> int:
    """Search until it is refused, or this often; return how often it was allowed."""
    for number in range(most):
        try:
            await limits.count(who, SEARCH)
        except QuotaExceededError:
            return number
    return most


async def test_a_quota_is_an_accounts_and_begins_anew(counters: Redis, clock: Clock) -> None:
    limits = RateLimits(changed("search:minute=250"), counters, "test", clock)
    clock.now += 48
    assert await allowed(limits, account(1)) == 250
    with pytest.raises(QuotaExceededError) as refused:
        await limits.count(account(1, credential=2), SEARCH)
    assert refused.value.retry_after == 12
    assert str(refused.value) == (
        "You have asked for 250 searches in a minute, the quota search:minute. Try again in 12 seconds; an "
        "administrator can raise it in RATE_LIMITS."
    )
    # Other scopes and other accounts have their own.
    await limits.count(account(1), [Scope.CONVERSATIONS_READ])
    assert await allowed(limits, account(2)) == 250
    clock.now += 11.9
    assert await allowed(limits, account(1)) == 0
    clock.now += 0.1
    assert await allowed(limits, account(1)) == 250


async def test_replicas_share_a_quota_and_services_do_not(counters: Redis, clock: Clock) -> None:
    quotas = changed("search:minute=60")
    first, second, other = (RateLimits(quotas, counters, name, clock) for name in ("a", "a", "b"))
    assert await allowed(first, account(1), 40) == 40
    assert await allowed(second, account(1)) == 20
    assert (await allowed(first, account(1)), await allowed(other, account(1))) == (0, 60)


async def test_concurrent_requests_get_no_more_than_there_is(counters: Redis, clock: Clock) -> None:
    replicas = [RateLimits(changed("search:minute=500"), counters, "test", clock) for _ in range(3)]
    tried = [replica.count(account(1), SEARCH) for replica in replicas for _ in range(300)]
    results = await asyncio.gather(*tried, return_exceptions=True)
    assert {type(one) for one in results} == {type(None), QuotaExceededError}
    # Each replica may hold back less than its share, a hundredth.
    assert 500 - 3 * 4 <= results.count(None) <= 500


async def test_most_requests_cost_no_call_of_redis(counters: Redis, clock: Clock) -> None:
    limits = RateLimits(changed(""), counters, "test", clock)
    before = (await counters.info("commandstats")).get("cmdstat_incrby", {"calls": 0})["calls"]
    for _ in range(120):
        await limits.count(account(1), [Scope.CONVERSATIONS_READ])
    after = (await counters.info("commandstats"))["cmdstat_incrby"]["calls"]
    assert after - before == 10
    assert [0 < await counters.ttl(key) <= 60 for key in await counters.keys("mh:rate:*")] == [True]


async def test_each_person_has_the_answers_of_a_day(counters: Redis, clock: Clock) -> None:
    limits = RateLimits(changed("answers:day=2"), counters, "test", clock)
    for person in ("ann", "ben", None):
        for _ in range(2):
            await limits.count_answer(account(1), person)
        with pytest.raises(QuotaExceededError, match="2 answers in a day, the quota answers:day"):
            await limits.count_answer(account(1), person)
    await limits.count_answer(account(2), "ann")
    clock.now += 86_400
    await limits.count_answer(account(1), "ann")


async def test_who_has_no_account_has_no_quota(counters: Redis, clock: Clock) -> None:
    limits = RateLimits(changed("search:minute=1"), counters, "test", clock)
    service = Principal("platform", PrincipalKind.SERVICE, frozenset(Scope), credential=CredentialKind.SERVICE_KEY)
    for principal in (LOCAL, service):
        assert await allowed(limits, principal, 50) == 50


async def test_without_redis_each_process_counts_for_itself_and_tries_again(
    redis_url: str, clock: Clock, tmp_path: Path
) -> None:
    port = servers.free_port()
    quotas = changed("search:minute=50")
    server = servers.start_redis(tmp_path, port)
    counters = redis_for_limits(f"redis://127.0.0.1:{port}/0")
    try:
        first, second = (RateLimits(quotas, counters, "test", clock) for _ in range(2))
        assert await allowed(first, account(1), 30) == 30
        server.stop()
        with capture_logs() as logs:
            # Counted anew, and nobody waits for Redis each time.
            assert (await allowed(first, account(1)), await allowed(second, account(1))) == (50, 50)
        assert [line["event"] for line in logs] == [LIMITS_WITHOUT_REDIS] * 2
        server = servers.start_redis(tmp_path, port)
        clock.now += 60
        assert (await allowed(first, account(1), 30), await allowed(second, account(1))) == (30, 20)
    finally:
        await counters.aclose()
        server.stop()


@pytest.fixture
def limited(settings: Settings) -> Settings:
    """Settings with accounts, and small quotas."""
    redis.Redis.from_url(settings.redis.url).flushdb()
    more: dict[str, Any] = {
        "auth": FirstAdministratorSettings(mode="required"),
        "mh": ServiceKeySettings(service_key=SecretStr(make_token(TokenKind.SERVICE_KEY))),
        "rate": RateSettings(limits="conversations:read:minute=3, conversations:write:minute=1"),
    }
    return settings.model_copy(update=more)


@pytest.mark.parametrize("migrated_database", ["sqlite"], indirect=True)
async def test_a_used_up_quota_is_answered_429_before_the_body_is_read(
    limited: Settings, settings: Settings, run_app: RunApp
) -> None:
    tokens = [await in_transaction(limited, lambda session: add_key(session, "a", Role.CURATOR)) for _ in range(2)]
    first, second = ({"Authorization": f"Bearer {token}"} for token in tokens)
    worker = {"Authorization": f"Bearer {limited.mh.service_key.get_secret_value()}"} if limited.mh.service_key else {}
    async with run_app(limited) as client:
        # In whatever minute each is.
        refused = await until_refused(client, READ, first)
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        problem = refused.json()
        assert (problem["quota"], problem["title"]) == ("conversations:read:minute", "Too Many Requests")
        assert "You have asked for 3 reads of conversations in a minute" in problem["detail"]
        # The account's other key has the same quota, other scopes have another, and nobody's request counts.
        assert (await client.get(HISTORY, headers=first)).status_code == 200
        assert (await client.get(READ)).status_code == 401
        for _ in range(3):
            written = await client.post(READ, content=b"no JSON", headers=second)
            if written.status_code == 429:
                break
        assert written.status_code == 429
        for _ in range(10):
            assert (await client.get(READ, headers=worker)).status_code == 200
        scraped = (await client.get("/metrics")).text
    assert 'mh_rate_limited_total{quota="conversations:read:minute"}' in scraped
    async with run_app(limited.model_copy(update={"auth": settings.auth})) as client:
        for _ in range(10):
            assert (await client.get(READ)).status_code == 200


async def until_refused(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> httpx.Response:
    """Repeat a request until it is refused, at most as often as two periods allow."""
    for number in range(8):
        response = await client.get(path, headers=headers)
        if response.status_code != 200:
            assert number >= 3
            assert response.status_code == 429, response.text
            return response
    raise AssertionError("was not refused")
