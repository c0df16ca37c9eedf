"""Injects faults and ends them after their duration."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from mh_devtools.chaos.interposer import Interposer
from mh_devtools.chaos.plan import REDIS, Fault, Kind
from mh_devtools.chaos.stack import ChaosStack
from mh_devtools.stubs.openai_stub import Fault as EmbedderFault
from mh_devtools.stubs.openai_stub import StubOpenAI

EMBEDDINGS = "/v1/embeddings"
_ANSWERS = {
    Kind.EMBEDDER_429: EmbedderFault(status=429, headers={"Retry-After": "1"}, path=EMBEDDINGS),
    Kind.EMBEDDER_500: EmbedderFault(status=500, path=EMBEDDINGS),
    Kind.EMBEDDER_SLOW: EmbedderFault(delay=3.0, path=EMBEDDINGS),
    Kind.EMBEDDER_LENGTH: EmbedderFault(wrong_dimension=True, path=EMBEDDINGS),
}


class Faults:
    """Injects a plan's faults into a stack."""

    def __init__(self, stack: ChaosStack, interposer: Interposer, embedder: StubOpenAI, rng: random.Random) -> None:
        self._stack = stack
        self._interposer = interposer
        self._embedder = embedder
        self._rng = rng

    async def happen(self, fault: Fault, began: float) -> None:
        """Inject a fault at its time and return when it is over. `began`: start of the run on the monotonic clock."""
        await asyncio.sleep(fault.at - (time.monotonic() - began))
        await self._act(fault.kind)(fault)

    def _act(self, kind: Kind) -> Callable[[Fault], Awaitable[None]]:
        acts: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.KILL_CHILD: self._kill_child,
            Kind.RESTART_MYSQL: self._restart,
            Kind.FLUSH: self._flush,
            Kind.STOP: self._stop,
            Kind.MESSAGES: self._mix_messages,
            **dict.fromkeys(_ANSWERS, self._break_embedder),
        }
        return acts.get(kind, self._kill)

    async def _kill(self, fault: Fault) -> None:
        await asyncio.to_thread(self._stack.kill, fault.target)
        await asyncio.sleep(fault.lasts)
        await asyncio.to_thread(self._stack.start, fault.target)

    async def _restart(self, fault: Fault) -> None:
        await asyncio.to_thread(self._stack.stop, fault.target)
        await asyncio.sleep(fault.lasts)
        await asyncio.to_thread(self._stack.start, fault.target)

    async def _kill_child(self, fault: Fault) -> None:
        if children := self._stack.children(fault.target):
            with suppress(psutil.NoSuchProcess):
                self._rng.choice(children).kill()

    async def _flush(self, fault: Fault) -> None:
        """Empty Redis; retry while another fault makes it unreachable."""
        async with Redis(port=self._stack.ports[REDIS], socket_timeout=5) as redis:
            for _ in range(100):
                with suppress(RedisError, OSError):
                    await redis.flushall()
                    return
                await asyncio.sleep(0.1)

    async def _stop(self, fault: Fault) -> None:
        self._stack.signal(fault.target, signal.SIGSTOP)
        await asyncio.sleep(fault.lasts)
        self._stack.signal(fault.target, signal.SIGCONT)

    async def _mix_messages(self, fault: Fault) -> None:
        self._interposer.scramble = True
        await asyncio.sleep(fault.lasts)
        self._interposer.scramble = False

    async def _break_embedder(self, fault: Fault) -> None:
        """Make about half of the requests fail for the fault's duration."""
        until = time.monotonic() + fault.lasts
        while time.monotonic() < until:
            self._embedder.add_faults(_ANSWERS[fault.kind])
            await asyncio.sleep(self._rng.uniform(0.05, 0.3))
        self._embedder.reset()
