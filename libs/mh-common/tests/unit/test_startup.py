"""A service waits for a store that is not available yet, but not for one that rejects it."""

import asyncio
from collections.abc import Callable

import pytest
from mh_common.startup import Store, StoreError, StoreRefusedError, wait_for_stores


class Flaky:
    """Becomes available after a number of checks."""

    def __init__(self, fails: int, error: Exception) -> None:
        self.looks = 0
        self._fails = fails
        self._error = error

    async def look(self) -> None:
        self.looks += 1
        if self.looks <= self._fails:
            raise self._error


def store(look: Callable[[], object]) -> Store:
    return Store("Redis", "correct REDIS_URL", look)  # type: ignore[arg-type]  # an async method each time


async def test_a_late_store_is_waited_for() -> None:
    late = Flaky(2, ConnectionRefusedError())
    await wait_for_stores([store(late.look)], max_wait=60)
    assert late.looks == 3


async def test_a_store_that_rejects_the_connection_stops_the_wait_at_once() -> None:
    refusing = Flaky(100, StoreRefusedError("correct the password in REDIS_URL"))
    away = Flaky(1000, ConnectionRefusedError())
    with pytest.raises(StoreRefusedError, match="correct the password"):
        await wait_for_stores([store(away.look), store(refusing.look)], max_wait=600)
    assert refusing.looks == 1


async def test_an_unavailable_store_is_reported_with_a_hint() -> None:
    away = Flaky(1000, ConnectionRefusedError("10.1.2.3"))
    with pytest.raises(StoreError) as raised:
        await wait_for_stores([store(away.look)], max_wait=0.1)
    assert str(raised.value) == "Redis is not available after 0.1 s: correct REDIS_URL"


async def test_a_store_that_never_responds_times_out() -> None:
    with pytest.raises(StoreError, match="is not available after"):
        await wait_for_stores([store(asyncio.Event().wait)], max_wait=0.1)


async def test_with_max_wait_0_nothing_is_checked() -> None:
    away = Flaky(1000, ConnectionRefusedError())
    await wait_for_stores([store(away.look)], max_wait=0)
    assert away.looks == 0
