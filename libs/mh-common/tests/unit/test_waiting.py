"""Waiting in tests: it returns when the condition holds, and reports a condition that does not."""

import asyncio
from collections.abc import Callable

import pytest
from mh_devtools.testing.waiting import eventually, until_logged, wait_until


def holds_at(attempt: int) -> Callable[[], bool]:
    tried = iter(range(1, attempt + 1))
    # One more call would raise StopIteration.
    return lambda: next(tried) == attempt


async def test_it_returns_when_the_condition_holds() -> None:
    wait_until(holds_at(3))
    await eventually(holds_at(3))
    condition = holds_at(3)

    async def awaited() -> bool:
        return condition()

    await eventually(awaited)


async def test_a_timeout_reports_the_condition_and_the_time() -> None:
    with pytest.raises(AssertionError, match=r"^not within 0\.05 s: rain$"):
        wait_until(lambda: False, timeout=0.05, what="rain")
    with pytest.raises(AssertionError, match=r"^not within 0\.05 s: rain$"):
        await eventually(lambda: False, timeout=0.05, what="rain")


async def test_a_hanging_condition_times_out() -> None:
    with pytest.raises(AssertionError, match="not within"):
        await eventually(asyncio.Event().wait, timeout=0.05)


async def test_an_error_in_the_condition_is_raised() -> None:
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
