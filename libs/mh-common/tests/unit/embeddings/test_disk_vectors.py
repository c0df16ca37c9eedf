"""Vectors in a file: persistent, limited, shared, and never a cause of failure."""

import asyncio
import logging
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from mh_common.embeddings import cache
from mh_common.embeddings.cache import CachedEmbedder
from mh_common.embeddings.disk_vectors import DiskVectors

DAY = 86_400
Open = Callable[..., DiskVectors]


@pytest.fixture(autouse=True)
def patient_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the timeout, which is too short while other tests run: a slow store would count as unavailable."""
    monkeypatch.setattr(cache, "STORE_TIMEOUT_S", 30.0)


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=1_800_000_000.0)


@pytest.fixture
async def open_store(tmp_path: Path, clock: SimpleNamespace) -> AsyncIterator[Open]:
    opened: list[DiskVectors] = []

    def make(
        path: Path = tmp_path / "cache" / "vectors.sqlite", max_mb: float = 100, ttl: int = 10 * DAY
    ) -> DiskVectors:
        store = DiskVectors(path, max_bytes=int(max_mb * 1024 * 1024), ttl=ttl, clock=lambda: clock.now)
        opened.append(store)
        return store

    yield make
    for store in opened:
        await store.close()


def keys(count: int) -> list[bytes]:
    return [number.to_bytes(32, "big") for number in range(count)]


async def test_stored_vectors_are_there_for_the_next_process_and_their_model_only(
    open_store: Open, tmp_path: Path
) -> None:
    vectors = {key: key[:8] for key in keys(1200)}
    await open_store().put("m", vectors)
    assert await open_store().get("m", [*keys(1201), b"none"]) == vectors
    assert await open_store().get("other", keys(3)) == {}
    file = tmp_path / "cache" / "vectors.sqlite"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_processes_can_write_concurrently(open_store: Open) -> None:
    stores = [open_store() for _ in range(4)]
    puts = (store.put("m", {key: bytes([at])}) for at, store in enumerate(stores) for key in keys(20)[at::4])
    await asyncio.gather(*puts)
    assert len(await stores[0].get("m", keys(20))) == 20


OPENED_AT_ONCE = """
import asyncio, multiprocessing, pathlib, sys
from mh_common.embeddings.disk_vectors import DiskVectors

def write(number):
    async def put(file):
        store = DiskVectors(pathlib.Path(sys.argv[1], str(file)), max_bytes=10**6, ttl=10**6)
        together.wait(30)
        await store.put("m", {bytes([number]): b"v"})
        await store.close()

    for file in range(40):
        asyncio.run(put(file))

fork = multiprocessing.get_context("fork")
together = fork.Barrier(4)
writers = [fork.Process(target=write, args=(number,)) for number in range(4)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
sys.exit(any(writer.exitcode for writer in writers))
"""


async def test_processes_can_open_a_new_file_concurrently(open_store: Open, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENED_AT_ONCE, str(tmp_path)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for file in range(40):
        store = open_store(tmp_path / str(file), ttl=1000 * DAY)
        assert len(await store.get("m", [bytes([number]) for number in range(4)])) == 4


async def test_a_vector_expires_when_it_is_not_used(open_store: Open, clock: SimpleNamespace) -> None:
    store, (used, unused) = open_store(), keys(2)
    await store.put("m", {used: b"a", unused: b"b"})
    clock.now += 6 * DAY
    assert await store.get("m", [used]) == {used: b"a"}
    clock.now += 6 * DAY
    assert await store.get("m", [used, unused]) == {used: b"a"}
    await store.put("m", {})
    clock.now -= 6 * DAY
    assert await store.get("m", [used, unused]) == {used: b"a"}


async def test_the_least_recently_used_are_evicted_first(open_store: Open, clock: SimpleNamespace) -> None:
    store = open_store(max_mb=1)
    for key in keys(600):
        clock.now += DAY / 100
        await store.put("m", {key: bytes(4096)})
    held = await store.get("m", keys(600))
    assert 100 < len(held) < 300
    assert set(held) == set(keys(600)[-len(held) :])


async def test_a_limit_below_one_vector_keeps_none(open_store: Open) -> None:
    store = open_store(max_mb=0)
    await store.put("m", dict.fromkeys(keys(5), b"v"))
    assert await store.get("m", keys(5)) == {}


class Embedder:
    model = "m"
    dimension = 1

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: list[str], use: object = None) -> list[list[float]]:
        self.asked += texts
        return [[float(len(text))] for text in texts]

    async def close(self) -> None:
        self.asked.append("closed")


async def test_as_a_cache_it_avoids_embedding_known_texts(open_store: Open, tmp_path: Path) -> None:
    first, second = Embedder(), Embedder()
    await CachedEmbedder(first, store=open_store()).embed(["a", "bb"])  # type: ignore[arg-type]
    path = tmp_path / "cache" / "vectors.sqlite"
    cached = CachedEmbedder(second, store=DiskVectors(path, max_bytes=10**6, ttl=DAY))  # type: ignore[arg-type]
    assert await cached.embed(["bb", "a"]) == [[2.0], [1.0]]
    assert (second.asked, cached.hits_store, cached.misses) == ([], 2, 0)
    await cached.close()
    assert second.asked == ["closed"]


async def test_an_invalid_file_is_ignored_with_one_log_line(
    open_store: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"this is no database " * 100)
    inner = Embedder()
    cached = CachedEmbedder(inner, memory_size=0, store=open_store(rubbish))  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert await cached.embed(["a"]) == [[1.0]]
    assert [record.message for record in caplog.records] == [cache.STORE_UNAVAILABLE]
    assert inner.asked == ["a", "a"]
