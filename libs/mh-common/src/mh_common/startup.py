"""At a service's start: wait for stores that are away, and stop at what only an operator can put right."""

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

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ResponseError

from mh_common import vector_index
from mh_common.settings import MilvusSettings, RedisSettings

ATTEMPT_S: Final = 5.0
"""Seconds until one look at a store is given up."""
PAUSE_S: Final = 0.5
TERMINATED: Final = 128 + signal.SIGTERM


class StoreError(Exception):
    """The service cannot start on a store. The message says in one line which variable to look at and what to do."""


class StoreRefusedError(StoreError):
    """The store answers and says no: waiting does not help."""


@dataclass(frozen=True)
class Store:
    """A store that a service needs.

    `look` returns when it can be used, raises `StoreRefusedError` when an operator must act, and anything else when it
    may yet come. `cure` says what to do when it does not, and names the variable.
    """

    name: str
    cure: str
    look: Callable[[], Awaitable[None]]


async def wait_for_stores(stores: Sequence[Store], patience: float) -> None:
    """Return when all of them can be used; at once, without looking, when `patience` is 0 seconds.

    Raises:
        StoreError: one of them refuses, or is away until the time is over.
    """
    if patience == 0:
        return
    try:
        async with asyncio.TaskGroup() as group:
            for store in stores:
                group.create_task(_wait(store, patience))
    except* StoreError as errors:
        raise errors.exceptions[0] from None


async def _wait(store: Store, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            async with asyncio.timeout(min(ATTEMPT_S, patience)):
                return await store.look()
        except StoreRefusedError:
            raise
        except Exception as error:  # whatever a driver raises means: not yet
            if time.monotonic() + PAUSE_S > deadline:
                raise StoreError(f"{store.name} cannot be used within {patience:g} s: {store.cure}") from error
        await asyncio.sleep(PAUSE_S)


def run_or_stop(work: Coroutine[Any, Any, None]) -> None:
    """Run it; on `StoreError` end the process with exit code 1 and the one line on standard error."""
    # The first process of a container is spared SIGTERM unless it has a handler. There is nothing to clean up yet.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    asyncio.run(_or_stop(work))


async def _or_stop(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except StoreError as error:
        print(f"The service cannot start. {error}.", file=sys.stderr, flush=True)
        # Here and now: a driver's thread that was given up on would find the loop closed, and say so with a trace.
        os._exit(1)


def look_in_a_fork(look: Callable[[], None]) -> None:
    """Run `look` in a forked process; end this one with code 1 where that one did not end well.

    What a look loads (gRPC, onnxruntime) does not survive a fork, so a process that forks later must not hold it. This
    process must have no threads yet.
    """
    child = os.fork()
    if not child:
        _end_after(look)

    def stop(*_: object) -> NoReturn:
        os.kill(child, signal.SIGKILL)
        sys.exit(TERMINATED)

    # The first process of a container is spared SIGTERM unless it has a handler.
    signal.signal(signal.SIGTERM, stop)
    _, status = os.waitpid(child, 0)
    if status:
        # It has said why.
        sys.exit(1)


def _end_after(look: Callable[[], None]) -> NoReturn:
    """Run it and end the process: what there is to clean up belongs to the one that it was forked from."""
    code = 1
    try:
        look()
        code = 0
    except Exception:  # whatever it is, it is shown, as Python shows what ends a process
        traceback.print_exc()
    finally:
        os._exit(code)


def redis_store(settings: RedisSettings) -> Store:
    """Return Redis as a store to wait for."""
    parts = urlsplit(settings.url)
    place = f"{parts.hostname}:{parts.port or 6379}"

    async def look() -> None:
        async with Redis.from_url(settings.url, socket_timeout=2, socket_connect_timeout=2) as redis:
            try:
                await redis.ping()
            except AuthenticationError:
                message = f"Redis at {place} refuses the log-in: correct the password in REDIS_URL"
                raise StoreRefusedError(message) from None
            except ResponseError as error:
                # Redis's own words, which repeat nothing of the address.
                raise StoreRefusedError(f"Redis at {place} refuses REDIS_URL ({error}): correct it") from None

    return Store("Redis", f"start Redis at {place}, or correct REDIS_URL", look)


def milvus_store(settings: MilvusSettings, make_client: Callable[[str, str, float], Any]) -> Store:
    """Return Milvus as a store to wait for; `make_client` makes an async client of address, token and timeout."""
    place = urlsplit(settings.uri).netloc.rpartition("@")[2]

    async def look() -> None:
        # The library logs each failure with its trace.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        client = make_client(settings.uri, settings.token, ATTEMPT_S)
        try:
            await client.has_collection(vector_index.COLLECTION, retry_times=1)
        except Exception as error:
            if _refuses_log_in(error):
                message = f"Milvus at {place} refuses the log-in: correct MILVUS_TOKEN (user:password)"
                raise StoreRefusedError(message) from None
            raise
        finally:
            await client.close()

    return Store("Milvus", f"start Milvus at {place}, or correct MILVUS_URI", look)


def _refuses_log_in(error: BaseException | None) -> bool:
    """Whether gRPC's status UNAUTHENTICATED is behind an error, which the client's library may have wrapped."""
    while error is not None:
        status = getattr(error, "code", None)
        if callable(status) and getattr(status(), "name", None) == "UNAUTHENTICATED":
            return True
        error = error.__cause__
    return False
