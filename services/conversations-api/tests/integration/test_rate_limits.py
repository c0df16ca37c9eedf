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
from mh_common.rate_limits import AWAY_S, LIMITS_WITHOUT_REDIS, RateLimits, SharedCounters, redis_for_limits
from mh_devtools import servers
from mh_devtools.testing.fixtures import RunApp
from mh_devtools.testing.waiting import eventually
from pydantic import SecretStr
from redis.asyncio import Redis
from structlog.testing import capture_logs

pytestmark = pytest.mark.redis

READ: Final = "/api/v1/conversations"
HISTORY: Final = "/api/v1/history"
SEARCH: Final = [Scope.SEARCH]


def account(user_id: int, credential: int = 1) -> Principal:
    kind = CredentialKind.API_KEY
    return Principal("a", PrincipalKind.SERVICE, frozenset(Scope), Role.ADMIN, user_id, kind, credential)


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


def limited_to(text: str, redis: Redis | None, service: str = "test") -> RateLimits:
    return RateLimits(changed(text), SharedCounters(redis), service)


async def end_periods(counters: Redis) -> None:
    """Let all periods that were begun end now."""
    for key in await counters.keys("mh:rate*"):
        await counters.pexpire(key, 1)
    await eventually(lambda: _none_left(counters))


async def _none_left(counters: Redis) -> bool:
    return not await counters.keys("mh:rate*")


async def test_a_quota_is_an_accounts_and_begins_anew(counters: Redis) -> None:
    limits = limited_to("search:minute=25", counters)
    assert await allowed(limits, account(1)) == 25
    with pytest.raises(QuotaExceededError) as refused:
        await limits.count(account(1, credential=2), SEARCH)
    assert 1 <= refused.value.retry_after <= 60
    assert str(refused.value) == (
        "You have asked for 25 searches in a minute, the quota search:minute. Try again in "
        f"{refused.value.retry_after} seconds; an administrator can raise it in RATE_LIMITS."
    )
    # Other scopes and other accounts have their own.
    await limits.count(account(1), [Scope.CONVERSATIONS_READ])
    assert await allowed(limits, account(2)) == 25
    assert all([0 < await counters.ttl(key) <= 60 for key in await counters.keys("mh:rate*")])
    await end_periods(counters)
    assert await allowed(limits, account(1)) == 25


async def test_replicas_share_a_quota_and_services_do_not(counters: Redis) -> None:
    first, second, other = (limited_to("search:minute=60", counters, name) for name in ("a", "a", "b"))
    assert await allowed(first, account(1), 40) == 40
    assert await allowed(second, account(1)) == 20
    assert (await allowed(first, account(1)), await allowed(other, account(1))) == (0, 60)


async def test_concurrent_requests_get_all_there_is_and_no_more(counters: Redis) -> None:
    replicas = [limited_to("search:minute=50", counters) for _ in range(3)]
    tried = [replica.count(account(1), SEARCH) for replica in replicas for _ in range(30)]
    results = await asyncio.gather(*tried, return_exceptions=True)
    assert {type(one) for one in results} == {type(None), QuotaExceededError}
    assert results.count(None) == 50


async def test_each_person_has_the_answers_of_a_day(counters: Redis) -> None:
    limits = limited_to("answers:day=2", counters)
    for person in ("ann", "ben", None):
        for _ in range(2):
            await limits.count_answer(account(1), person)
        with pytest.raises(QuotaExceededError, match="2 answers in a day, the quota answers:day"):
            await limits.count_answer(account(1), person)
    await limits.count_answer(account(2), "ann")
    await end_periods(counters)
    await limits.count_answer(account(1), "ann")


async def test_who_has_no_account_has_no_quota(counters: Redis) -> None:
    limits = limited_to("search:minute=1", counters)
    service = Principal("platform", PrincipalKind.SERVICE, frozenset(Scope), credential=CredentialKind.SERVICE_KEY)
    for principal in (LOCAL, service):
        assert await allowed(limits, principal, 50) == 50


async def test_without_redis_each_process_counts_for_itself_and_tries_again(
    tmp_path: Path,
) -> None:
    port = servers.free_port()
    now = 0.0
    server = servers.start_redis(tmp_path, port)
    counters = redis_for_limits(f"redis://127.0.0.1:{port}/0")
    try:
        first, second = (
            RateLimits(changed("search:minute=50"), SharedCounters(counters, lambda: now), "test") for _ in range(2)
        )
        assert await allowed(first, account(1), 30) == 30
        server.stop()
        with capture_logs() as logs:
            # Counted anew, and nobody waits for Redis each time.
            assert (await allowed(first, account(1)), await allowed(second, account(1))) == (50, 50)
        assert [line["event"] for line in logs] == [LIMITS_WITHOUT_REDIS] * 2
        server = servers.start_redis(tmp_path, port)
        now += AWAY_S
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
