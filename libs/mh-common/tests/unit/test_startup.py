"""A service waits for a store that may yet come, and not for one that says no."""

import asyncio
from collections.abc import Callable

import pytest
from mh_common.startup import Store, StoreError, StoreRefusedError, wait_for_stores


class Flaky:
    """Can be used from a given look on."""

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


async def test_a_store_that_comes_late_is_waited_for() -> None:
    late = Flaky(2, ConnectionRefusedError())
    await wait_for_stores([store(late.look)], patience=60)
    assert late.looks == 3


async def test_a_store_that_refuses_is_asked_once_and_ends_the_wait_for_others() -> None:
    refusing = Flaky(100, StoreRefusedError("correct the password in REDIS_URL"))
    away = Flaky(1000, ConnectionRefusedError())
    with pytest.raises(StoreRefusedError, match="correct the password"):
        await wait_for_stores([store(away.look), store(refusing.look)], patience=600)
    assert refusing.looks == 1


async def test_a_store_that_stays_away_is_named_with_its_cure() -> None:
    away = Flaky(1000, ConnectionRefusedError("10.1.2.3"))
    with pytest.raises(StoreError) as raised:
        await wait_for_stores([store(away.look)], patience=0.1)
    assert str(raised.value) == "Redis cannot be used within 0.1 s: correct REDIS_URL"


async def test_a_store_that_never_answers_is_given_up() -> None:
    with pytest.raises(StoreError, match="cannot be used within"):
        await wait_for_stores([store(asyncio.Event().wait)], patience=0.1)


async def test_without_patience_nobody_looks() -> None:
    away = Flaky(1000, ConnectionRefusedError())
    await wait_for_stores([store(away.look)], patience=0)
    assert away.looks == 0
