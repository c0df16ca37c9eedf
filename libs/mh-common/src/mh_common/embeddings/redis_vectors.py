"""Vectors in Redis, shared by processes, with a time to live."""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis


class RedisVectors:
    """A `VectorStore` in Redis. Keys are `mh:embedding:{model}:{SHA-256 of the text in hex}`.

    Args:
        redis: created with `decode_responses=False`; `close` leaves it open.
        ttl: seconds that a vector is kept.
    """

    def __init__(self, redis: Redis, ttl: int) -> None:
        if redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("The cache stores bytes in Redis: its client must have decode_responses=False")
        self._redis = redis
        self._ttl = ttl

    async def get(self, model: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `VectorStore.get`."""
        values = await self._redis.mget([_name(model, key) for key in keys])
        return {key: value for key, value in zip(keys, values, strict=True) if isinstance(value, bytes)}

    async def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """See `VectorStore.put`."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, vector in vectors.items():
                pipeline.set(_name(model, key), vector, ex=self._ttl)
            await pipeline.execute()

    async def close(self) -> None:
        """Nothing to release."""


def _name(model: str, key: bytes) -> str:
    return f"mh:embedding:{model}:{key.hex()}"
