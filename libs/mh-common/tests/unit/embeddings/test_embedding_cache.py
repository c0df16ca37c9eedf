import asyncio
import hashlib
import logging
import struct
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from mh_common.embeddings import cache
from mh_common.embeddings.cache import CachedEmbedder
from mh_common.embeddings.protocol import Embedder, EmbedderError, TextUse
from mh_common.embeddings.redis_vectors import RedisVectors


@pytest.fixture(autouse=True)
def patient_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the timeout, which is too short while other tests run: a slow store would count as unavailable."""
    monkeypatch.setattr(cache, "STORE_TIMEOUT_S", 30.0)


class CountingEmbedder:
    """Makes a vector from each text's hash, and records its calls."""

    def __init__(self, model: str = "counting", dimension: int = 4) -> None:
        self.model = model
        self.dimension = dimension
        self.asked: list[str] = []
        self.closed = False
        self.error: EmbedderError | None = None
        self.error_after: int | None = None
        """Fail once, after this many texts."""

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        if self.error:
            raise self.error
        if len(self.asked) == self.error_after:
            self.error_after = None
            raise EmbedderError("overloaded", transient=True)
        self.asked += texts
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return [byte / 7 for byte in digest[: self.dimension]]

    async def close(self) -> None:
        self.closed = True


def near(vectors: list[list[float]]) -> list[object]:
    return [pytest.approx(vector, rel=1e-6) for vector in vectors]


def counters(cached: CachedEmbedder) -> tuple[int, int, int]:
    return cached.hits_memory, cached.hits_store, cached.misses


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()


async def test_a_known_text_is_not_embedded_again() -> None:
    inner = CountingEmbedder()
    cached: Embedder = CachedEmbedder(inner)
    first = await cached.embed(["a", "b"])
    again = await cached.embed(["b", "c", "a"])
    assert inner.asked == ["a", "b", "c"]
    assert first == near([inner.vector("a"), inner.vector("b")])
    assert again == [first[1], *near([inner.vector("c")]), first[0]]
    assert (cached.model, cached.dimension) == ("counting", 4)


async def test_a_query_gets_the_vector_of_a_passage_only_where_they_are_embedded_alike() -> None:
    alike, apart = CountingEmbedder(), CountingEmbedder()
    for inner, separate in ((alike, False), (apart, True)):
        cached = CachedEmbedder(inner, separate_queries=separate)
        for use in (TextUse.PASSAGE, TextUse.QUERY, TextUse.PASSAGE, TextUse.QUERY):
            await cached.embed(["a"], use)
    assert alike.asked == ["a"]
    assert apart.asked == ["a", "a"]


async def test_what_was_embedded_before_a_call_failed_is_not_embedded_again() -> None:
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, texts_per_call=2)
    texts = ["long", "a", "longest", "b", "longer"]
    inner.error_after = 4
    with pytest.raises(EmbedderError):
        await cached.embed(texts)
    assert inner.asked == ["a", "b", "long", "longer"]
    assert await cached.embed(texts) == near([inner.vector(text) for text in texts])
    assert inner.asked == ["a", "b", "long", "longer", "longest"]


async def test_equal_texts_in_one_call_are_embedded_once() -> None:
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner)
    vectors = await cached.embed(["a", "a", "\ud800", "a"])
    assert inner.asked == ["a", "\ud800"]
    assert vectors[0] == vectors[1] == vectors[3]
    assert counters(cached) == (0, 0, 2)


async def test_a_vector_is_the_same_whether_cached_or_not(client: redis.asyncio.Redis) -> None:
    made = await CachedEmbedder(CountingEmbedder(), store=RedisVectors(client, 60)).embed(["a"])
    cached = CachedEmbedder(CountingEmbedder(), store=RedisVectors(client, 60))
    assert made == await cached.embed(["a"]) == await cached.embed(["a"])
    assert counters(cached) == (1, 1, 0)


async def test_the_least_recently_used_vector_is_evicted_first() -> None:
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, memory_size=2)
    for texts in ["a", "b", "a", "c", "a", "b"]:
        await cached.embed([texts])
    assert inner.asked == ["a", "b", "c", "b"]


async def test_without_memory_every_call_embeds() -> None:
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, memory_size=0)
    await cached.embed(["a"])
    assert await cached.embed(["a"]) == near([inner.vector("a")])
    assert inner.asked == ["a", "a"]


async def test_an_error_is_raised_and_nothing_is_cached() -> None:
    inner = CountingEmbedder()
    inner.error = EmbedderError("busy", transient=True)
    cached = CachedEmbedder(inner)
    with pytest.raises(EmbedderError, match="busy"):
        await cached.embed(["a"])
    inner.error = None
    assert await cached.embed(["a"]) == near([inner.vector("a")])


async def test_closing_closes_the_inner_embedder_only(client: redis.asyncio.Redis) -> None:
    inner = CountingEmbedder()
    await CachedEmbedder(inner, store=RedisVectors(client, 60)).close()
    assert inner.closed
    assert await client.ping()


async def test_redis_has_little_endian_float32_under_a_key_without_text(client: redis.asyncio.Redis) -> None:
    inner = CountingEmbedder()
    await CachedEmbedder(inner, store=RedisVectors(client, 60)).embed(["a"])
    key = f"mh:embedding:counting:{hashlib.sha256(b'a').hexdigest()}"
    assert await client.keys() == [key.encode()]
    assert await client.get(key) == struct.pack("<4f", *inner.vector("a"))
    assert 0 < await client.ttl(key) <= 60


async def test_redis_is_shared_but_not_between_models(client: redis.asyncio.Redis) -> None:
    await CachedEmbedder(CountingEmbedder(), store=RedisVectors(client, 60)).embed(["a", "b"])
    same, other = CountingEmbedder(), CountingEmbedder(model="other")
    await CachedEmbedder(same, store=RedisVectors(client, 60)).embed(["a", "b", "c"])
    await CachedEmbedder(other, store=RedisVectors(client, 60)).embed(["a"])
    assert (same.asked, other.asked) == (["c"], ["a"])


async def test_a_value_of_the_wrong_length_is_replaced(client: redis.asyncio.Redis) -> None:
    key = f"mh:embedding:counting:{hashlib.sha256(b'a').hexdigest()}"
    await client.set(key, b"rubbish")
    inner = CountingEmbedder()
    assert await CachedEmbedder(inner, store=RedisVectors(client, 60)).embed(["a"]) == near([inner.vector("a")])
    assert await client.get(key) == struct.pack("<4f", *inner.vector("a"))


async def test_a_client_that_decodes_responses_is_rejected(redis_url: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url, decode_responses=True)
    with pytest.raises(ValueError, match="decode_responses"):
        RedisVectors(client, 60)
    await client.aclose()


class Outage:
    """A proxy between the cache and Redis that can refuse, hang, or forward connections."""

    def __init__(self, redis_url: str) -> None:
        self.target = int(redis_url.rpartition(":")[2].partition("/")[0])
        self.mode = "pass"
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self.pipe(reader, upstream_writer), self.pipe(upstream_reader, writer))

    async def pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while (data := await source.read(65536)) and self.mode != "drop":
            if self.mode == "pass":
                target.write(data)
        target.close()


@pytest.fixture
async def outage(redis_url: str) -> AsyncIterator[tuple[Outage, redis.asyncio.Redis]]:
    outage = Outage(redis_url)
    server = await asyncio.start_server(outage.serve, "127.0.0.1", 0)
    client = redis.asyncio.Redis(port=server.sockets[0].getsockname()[1])
    await client.flushdb()
    yield outage, client
    await client.aclose()
    server.close()


@pytest.mark.parametrize("mode", ["hang", "drop"])
async def test_an_outage_of_redis_costs_one_timeout_and_one_log_line(
    outage: tuple[Outage, redis.asyncio.Redis],
    mode: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy, client = outage
    caplog.set_level(logging.INFO, "mh_common")
    clock = SimpleNamespace(now=0.0)
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, memory_size=0, store=RedisVectors(client, 60), clock=lambda: clock.now)
    await cached.embed(["before"])

    proxy.mode = mode
    with monkeypatch.context() as short:
        short.setattr(cache, "STORE_TIMEOUT_S", 0.05)
        for clock.now in (1.0, 2.0, 40.0, 41.0):
            assert await cached.embed(["during"]) == near([inner.vector("during")])
    assert [record.message for record in caplog.records] == [cache.STORE_UNAVAILABLE]

    proxy.mode, clock.now = "pass", 80.0
    # The connection was abandoned with a reply pending, which must not be taken for the reply to another command.
    assert await cached.embed(["before", "after"]) == near([inner.vector("before"), inner.vector("after")])
    assert [record.message for record in caplog.records] == [cache.STORE_UNAVAILABLE, cache.STORE_RECOVERED]
    assert inner.asked == ["before", *["during"] * 4, "after"]
    assert "during" not in caplog.text


async def test_redis_may_fail_between_reading_and_writing(
    outage: tuple[Outage, redis.asyncio.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, client = outage
    monkeypatch.setattr(cache, "STORE_TIMEOUT_S", 0.05)

    class Breaking(CountingEmbedder):
        async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
            proxy.mode = "hang"
            return await super().embed(texts)

    inner = Breaking()
    cached = CachedEmbedder(inner, store=RedisVectors(client, 60))
    assert await cached.embed(["a"]) == near([inner.vector("a")])
    assert await cached.embed(["a", "b"]) == near([inner.vector("a"), inner.vector("b")])


@settings(max_examples=50, deadline=None)
@given(calls=st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6), memory_size=st.integers(0, 4))
def test_the_cache_never_changes_a_result(calls: list[list[str]], memory_size: int) -> None:
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, memory_size=memory_size)

    async def run() -> None:
        for texts in calls:
            assert await cached.embed(texts) == near([inner.vector(text) for text in texts])

    asyncio.run(run())
    assert sum(counters(cached)) == sum(len(set(texts)) for texts in calls)
