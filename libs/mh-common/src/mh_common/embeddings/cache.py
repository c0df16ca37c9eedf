"""A cache before any embedder: in this process, and optionally in Redis for all of them."""

import asyncio
import hashlib
import logging
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mh_common.embeddings.protocol import Embedder, TextUse

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

REDIS_UNAVAILABLE = "embedding_cache_redis_unavailable"
"""Logged when Redis begins to fail, not again until it has answered. Embedding goes on without it."""
REDIS_RECOVERED = "embedding_cache_redis_recovered"

REDIS_TIMEOUT_S = 0.5
"""A Redis slower than this is passed over: embedding the text again may be faster."""
REDIS_PAUSE_S = 30.0
"""How long Redis is left alone after a failure, so that not every call waits for the timeout."""


class CachedEmbedder:
    """An `Embedder` that asks another one only for texts it does not know.

    Equal texts in one call are embedded once. Vectors are kept as float32, and every answer goes through that form, so
    that a text has the same vector whether it was known or not. Texts are known by their SHA-256; none is kept. Two
    calls at the same time for the same unknown text both embed it.

    Args:
        inner: the embedder that does the work; it is closed with this one.
        memory_size: most vectors kept in this process, the least recently used going first (a vector of 1,536
            components takes 6 KB). 0 keeps none.
        redis: second level, shared by processes, made with `decode_responses=False`; it stays open on `close`. Keys are
            `mh:embedding:{model}:{sha256 of the text}`. That Redis fails or hangs never makes `embed` fail.
        ttl: seconds that a vector stays in Redis.
        prefixes: what a model wants before texts of a use, as e5 wants `query: `. It is part of the text from then on.
        clock: for tests.

    Attributes:
        hits_memory, hits_redis, misses: distinct texts per call, counted by where their vector came from.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        memory_size: int = 10_000,
        redis: "Redis | None" = None,
        ttl: int = 7 * 86_400,
        prefixes: Mapping[TextUse, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if redis is not None and redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("The cache keeps bytes in Redis: its client must have decode_responses=False")
        self._inner = inner
        self._memory: OrderedDict[bytes, bytes] = OrderedDict()
        self._memory_size = memory_size
        self._redis = redis
        self._ttl = ttl
        self._prefixes = prefixes or {}
        self._clock = clock
        self._redis_paused_until = float("-inf")
        self._redis_failed = False
        self._format = struct.Struct(f"<{inner.dimension}f")
        self.hits_memory = 0
        self.hits_redis = 0
        self.misses = 0

    @property
    def model(self) -> str:
        """The inner embedder's model."""
        return self._inner.model

    @property
    def dimension(self) -> int:
        """The inner embedder's dimension."""
        return self._inner.dimension

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`."""
        texts = [self._prefixes.get(use, "") + text for text in texts]
        # "surrogatepass", since a lone surrogate must not stop a text from having a key.
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found = self._from_memory(wanted)
        self.hits_memory += len(found)
        if unknown := [key for key in wanted if key not in found]:
            from_redis = await self._from_redis(unknown)
            self.hits_redis += len(from_redis)
            made = await self._make({key: wanted[key] for key in unknown if key not in from_redis})
            found |= from_redis | made
            self._remember(from_redis | made)
        return [list(self._format.unpack(found[key])) for key in keys]

    async def close(self) -> None:
        """Close the inner embedder."""
        await self._inner.close()

    def _from_memory(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        found = {key: self._memory[key] for key in keys if key in self._memory}
        for key in found:
            self._memory.move_to_end(key)
        return found

    def _remember(self, vectors: Mapping[bytes, bytes]) -> None:
        self._memory.update(vectors)
        while len(self._memory) > self._memory_size:
            self._memory.popitem(last=False)

    async def _make(self, texts: Mapping[bytes, str]) -> dict[bytes, bytes]:
        if not texts:
            return {}
        self.misses += len(texts)
        vectors = await self._inner.embed(list(texts.values()))
        made = {key: self._format.pack(*vector) for key, vector in zip(texts, vectors, strict=True)}
        await self._to_redis(made)
        return made

    async def _from_redis(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if self._redis is None or self._clock() < self._redis_paused_until:
            return {}
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                values = await self._redis.mget([self._redis_key(key) for key in keys])
        except Exception as error:
            self._redis_fails(error)
            return {}
        self._redis_answers()
        # A value of another length comes from another dimension or another program: made again, and written over.
        pairs = zip(keys, values, strict=True)
        return {key: value for key, value in pairs if isinstance(value, bytes) and len(value) == self._format.size}

    async def _to_redis(self, vectors: Mapping[bytes, bytes]) -> None:
        if self._redis is None or self._clock() < self._redis_paused_until:
            return
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S), self._redis.pipeline(transaction=False) as pipeline:
                for key, vector in vectors.items():
                    pipeline.set(self._redis_key(key), vector, ex=self._ttl)
                await pipeline.execute()
        except Exception as error:
            self._redis_fails(error)
        else:
            self._redis_answers()

    def _redis_key(self, key: bytes) -> str:
        return f"mh:embedding:{self.model}:{key.hex()}"

    def _redis_fails(self, error: Exception) -> None:
        # Any error at all: what goes wrong with a cache must not be what the caller sees.
        self._redis_paused_until = self._clock() + REDIS_PAUSE_S
        if not self._redis_failed:
            self._redis_failed = True
            log.warning(REDIS_UNAVAILABLE, extra={"error": type(error).__name__, "pause_s": REDIS_PAUSE_S})

    def _redis_answers(self) -> None:
        if self._redis_failed:
            self._redis_failed = False
            log.info(REDIS_RECOVERED)
