"""Waiting in tests: it ends when the condition holds, and says what did not come true."""

import asyncio
from collections.abc import Callable

import pytest
from mh_devtools.testing.waiting import eventually, until_logged, wait_until


def holds_at(attempt: int) -> Callable[[], bool]:
    tried = iter(range(1, attempt + 1))
    # One more look than that would be a StopIteration.
    return lambda: next(tried) == attempt


async def test_it_ends_when_the_condition_holds() -> None:
    wait_until(holds_at(3))
    await eventually(holds_at(3))
    condition = holds_at(3)

    async def awaited() -> bool:
        return condition()

    await eventually(awaited)


async def test_who_waits_in_vain_reads_for_what_and_how_long() -> None:
    with pytest.raises(AssertionError, match=r"^not within 0\.05 s: rain$"):
        wait_until(lambda: False, timeout=0.05, what="rain")
    with pytest.raises(AssertionError, match=r"^not within 0\.05 s: rain$"):
        await eventually(lambda: False, timeout=0.05, what="rain")


async def test_a_condition_that_hangs_is_given_up() -> None:
    with pytest.raises(AssertionError, match="not within"):
        await eventually(asyncio.Event().wait, timeout=0.05)


async def test_a_condition_that_fails_ends_the_wait() -> None:
    def fail() -> bool:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await eventually(fail)


async def test_an_event_is_waited_for() -> None:
    logs: list[dict[str, object]] = []
    waiting = asyncio.create_task(until_logged(logs, "done"))
    logs.append({"event": "begun"})
    await asyncio.sleep(0)
    assert not waiting.done()
    logs.append({"event": "done"})
    await waiting
