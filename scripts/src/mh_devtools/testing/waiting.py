"""Wait for another task, thread or process by polling a condition, with a timeout."""

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LIMIT = 60.0
"""Seconds. Generous, because a whole test suite may be running on a small machine."""
PAUSE = 0.02
"""Seconds between two polls."""


async def eventually(
    condition: Callable[[], object],
    *,
    timeout: float = LIMIT,  # noqa: ASYNC109 - the error says what was waited for
    what: str = "what the test waits for",
) -> None:
    """Yield to other tasks until a condition holds.

    Args:
        condition: returns whether it holds, or an awaitable of that.
        timeout: maximum wait in seconds. A condition being awaited at that point is cancelled.
        what: describes the condition in the error.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    try:
        async with asyncio.timeout(timeout) as limit:
            while True:
                holds = condition()
                if await holds if inspect.isawaitable(holds) else holds:
                    return
                await asyncio.sleep(PAUSE)
    except TimeoutError as error:
        if not limit.expired():
            raise  # of the condition's own
        raise AssertionError(_too_late(what, timeout)) from error


def wait_until(
    condition: Callable[[], object], *, timeout: float = LIMIT, what: str = "what the test waits for"
) -> None:
    """Block the thread until a condition holds.

    Args:
        condition: returns whether it holds.
        timeout: maximum wait in seconds. A call of the condition in progress is not interrupted.
        what: describes the condition in the error.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(_too_late(what, timeout))
        time.sleep(PAUSE)


async def until_logged(logs: Sequence[Mapping[str, Any]], event: str) -> None:
    """Yield to other tasks until an event is in the list that structlog's `capture_logs` fills.

    Raises:
        AssertionError: it was not logged in time.
    """
    await eventually(lambda: event in [line["event"] for line in logs], what=f"the log has {event}")


def _too_late(what: str, timeout: float) -> str:
    return f"not within {timeout:g} s: {what}"
