"""Sits between the APIs and the workers' queue, and at times delivers messages twice, late and out of order.

The APIs publish to one database of Redis, and the workers read from another. Messages are moved by scripts inside
Redis, so that none is ever held by a process that could lose it.
"""

import asyncio
import random
from typing import Final

from mh_common.jobs import INDEX_QUEUE
from redis.asyncio import Redis
from redis.exceptions import RedisError

API_DATABASE: Final = 0
WORKER_DATABASE: Final = 1
HELD: Final = "chaos-held"
"""Redis list of delayed messages."""
PAUSE_S: Final = 0.01

_MOVE_TO_HELD: Final = f"""
while true do
  redis.call('SELECT', {API_DATABASE})
  local message = redis.call('RPOP', KEYS[1])
  redis.call('SELECT', {WORKER_DATABASE})
  if not message then return end
  redis.call('LPUSH', KEYS[2], message)
end
"""


class Interposer:
    """Moves messages to the workers' queue, immediately unless `scramble` is true."""

    def __init__(self, redis_port: int, rng: random.Random) -> None:
        self.scramble = False
        self._port = redis_port
        self._redis = Redis(port=redis_port, db=WORKER_DATABASE, decode_responses=True, socket_timeout=5)
        self._rng = rng

    async def run(self) -> None:
        """Move messages until cancelled, even if Redis fails in the meantime."""
        try:
            while True:
                try:
                    await self._move()
                except (RedisError, OSError):
                    await asyncio.sleep(0.1)
                await asyncio.sleep(PAUSE_S)
        finally:
            await self._redis.aclose()

    async def waiting(self) -> int:
        """Count messages that are queued, held, or taken by a worker and not acknowledged."""
        async with Redis(port=self._port, db=API_DATABASE, socket_timeout=5) as api:
            published = await api.llen(INDEX_QUEUE)
        lists = [await self._redis.llen(key) for key in (HELD, INDEX_QUEUE)]
        return published + sum(lists) + await self._redis.hlen("unacked")

    async def _move(self) -> None:
        await self._redis.eval(_MOVE_TO_HELD, 2, INDEX_QUEUE, HELD)
        held = await self._redis.lrange(HELD, 0, -1)
        if not self.scramble:
            for message in reversed(held):
                await self._deliver(message)
            return
        # Each is delayed by half a second on average, so that later ones overtake earlier ones.
        for message in held:
            if self._rng.random() < 0.02:
                copies = 2 if self._rng.random() < 0.3 else 1
                await self._deliver(message, copies, keep=self._rng.random() < 0.2)

    async def _deliver(self, message: bytes | str, copies: int = 1, *, keep: bool = False) -> None:
        """Deliver `copies` of a message; with `keep`, deliver it once more later."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.lpush(INDEX_QUEUE, *[message] * copies)
            if not keep:
                pipeline.lrem(HELD, 1, str(message))
            await pipeline.execute()
