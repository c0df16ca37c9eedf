"""At startup: wait for stores that are not available yet, and exit when only an operator can fix the problem."""

import asyncio
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from mh_common import vector_index
from mh_common.settings import MilvusSettings, RedisSettings

CHECK_TIMEOUT_S: Final = 5.0
"""Timeout of one check of a store, in seconds."""
RETRY_INTERVAL_S: Final = 0.5
SIGTERM_EXIT_CODE: Final = 128 + signal.SIGTERM


class StoreError(Exception):
    """The service cannot start because of a store. The message is one line: the variable to check and what to do."""


class StoreRefusedError(StoreError):
    """The store rejects the connection: waiting does not help."""


@dataclass(frozen=True)
class Store:
    """A store that a service needs.

    `check` returns when the store can be used, raises `StoreRefusedError` when an operator must act, and any other
    error when the store may still become available. `hint` says what to do if it does not, and names the variable.
    """

    name: str
    hint: str
    check: Callable[[], Awaitable[None]]


async def wait_for_stores(stores: Sequence[Store], max_wait: float) -> None:
    """Return when all stores can be used; with `max_wait` 0 (seconds) return at once, without checking.

    Raises:
        StoreError: a store rejects the connection, or is not available within `max_wait`.
    """
    if max_wait == 0:
        return
    try:
        async with asyncio.TaskGroup() as group:
            for store in stores:
                group.create_task(_wait(store, max_wait))
    except* StoreError as errors:
        raise errors.exceptions[0] from None


async def _wait(store: Store, max_wait: float) -> None:
    deadline = time.monotonic() + max_wait
    while True:
        try:
            async with asyncio.timeout(min(CHECK_TIMEOUT_S, max_wait)):
                return await store.check()
        except StoreRefusedError:
            raise
        except Exception as error:  # any error of a driver means: not yet
            if time.monotonic() + RETRY_INTERVAL_S > deadline:
                raise StoreError(f"{store.name} is not available after {max_wait:g} s: {store.hint}") from error
        await asyncio.sleep(RETRY_INTERVAL_S)


def run_or_exit(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; on `StoreError` print its message to standard error and exit with code 1."""
    # The kernel drops SIGTERM for PID 1 of a container unless it has a handler. There is nothing to clean up yet.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(SIGTERM_EXIT_CODE))
    asyncio.run(_run(work))


async def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except StoreError as error:
        print(f"The service cannot start. {error}.", file=sys.stderr, flush=True)
        # Not sys.exit: an abandoned driver thread would find the event loop closed and print a traceback.
        os._exit(1)


def check_in_fork(check: Callable[[], None]) -> None:
    """Run `check` in a forked process; exit with code 1 if that one fails.

    Libraries that a check loads (gRPC, onnxruntime) do not survive a fork, so a process that forks later must not load
    them. This process must not have started any threads.
    """
    child = os.fork()
    if not child:
        _run_and_exit(check)

    def stop(*_: object) -> NoReturn:
        os.kill(child, signal.SIGKILL)
        sys.exit(SIGTERM_EXIT_CODE)

    # The kernel drops SIGTERM for PID 1 of a container unless it has a handler.
    signal.signal(signal.SIGTERM, stop)
    _, status = os.waitpid(child, 0)
    if status:
        # The child has printed the reason.
        sys.exit(1)


def _run_and_exit(check: Callable[[], None]) -> NoReturn:
    """Run it and exit without cleaning up: resources inherited from the parent belong to the parent."""
    code = 1
    try:
        check()
        code = 0
    except Exception:  # print any error, as Python does for an uncaught one
        traceback.print_exc()
    finally:
        os._exit(code)


def redis_store(settings: RedisSettings) -> Store:
    """Return Redis as a store to wait for."""
    # Imported late: it takes a tenth of a second, and migrations need none.
    from redis.asyncio import Redis
    from redis.exceptions import AuthenticationError, ResponseError

    parts = urlsplit(settings.url)
    place = f"{parts.hostname}:{parts.port or 6379}"

    async def check() -> None:
        async with Redis.from_url(settings.url, socket_timeout=2, socket_connect_timeout=2) as redis:
            try:
                await redis.ping()
            except AuthenticationError:
                message = f"Redis at {place} rejects the login: correct the password in REDIS_URL"
                raise StoreRefusedError(message) from None
            except ResponseError as error:
                # The message is Redis's own and contains no part of the URL.
                raise StoreRefusedError(f"Redis at {place} rejects REDIS_URL ({error}): correct it") from None

    return Store("Redis", f"start Redis at {place}, or correct REDIS_URL", check)


def milvus_store(settings: MilvusSettings, make_client: Callable[[str, str, float], Any]) -> Store:
    """Return Milvus as a store to wait for; `make_client` returns an async client for a URI, token and timeout (s)."""
    place = urlsplit(settings.uri).netloc.rpartition("@")[2]

    async def check() -> None:
        # pymilvus logs each failure with a traceback.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        client = make_client(settings.uri, settings.token, CHECK_TIMEOUT_S)
        try:
            await client.has_collection(vector_index.COLLECTION, retry_times=1)
        except Exception as error:
            if _refuses_log_in(error):
                message = f"Milvus at {place} rejects the login: correct MILVUS_TOKEN (user:password)"
                raise StoreRefusedError(message) from None
            raise
        finally:
            await client.close()

    return Store("Milvus", f"start Milvus at {place}, or correct MILVUS_URI", check)


def _refuses_log_in(error: BaseException | None) -> bool:
    """Return whether gRPC's status UNAUTHENTICATED caused this error; pymilvus may have wrapped it."""
    while error is not None:
        status = getattr(error, "code", None)
        if callable(status) and getattr(status(), "name", None) == "UNAUTHENTICATED":
            return True
        error = error.__cause__
    return False
