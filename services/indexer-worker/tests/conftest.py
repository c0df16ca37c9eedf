"""Fixtures of the worker's tests: the stores emptied, the APIs it calls as stubs, and the worker as a process."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mh_devtools import servers
from mh_common import vector_index as fields
from mh_common.milvus import make_client
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI
from pymilvus import AsyncMilvusClient, MilvusClient
from redis import Redis


@pytest.fixture
def kept_collection() -> str:
    """Description of a collection that `empty_milvus_uri` need not drop; a module whose tests share one says it."""
    return ""


@pytest.fixture
def empty_milvus_uri(milvus_uri: str, kept_collection: str) -> str:
    """Address of a Milvus without any row, and without any collection but the one to keep."""
    client = MilvusClient(milvus_uri, dedicated=True)
    for name in client.list_collections():
        if name == fields.COLLECTION and client.describe_collection(name)["description"] == kept_collection:
            # Much faster than making it again.
            client.delete(name, filter=f"{fields.ID} > 0")
        else:
            client.drop_collection(name)
    client.close()
    return milvus_uri


@pytest.fixture
async def milvus(empty_milvus_uri: str) -> AsyncIterator[AsyncMilvusClient]:
    client = make_client(empty_milvus_uri, token="", timeout=10)
    yield client
    await client.close()


@pytest.fixture
def conversations() -> Iterator[StubIndex]:
    with StubIndex.running() as stub:
        assert isinstance(stub, StubIndex)
        yield stub


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def environment(
    redis_url: str, empty_milvus_uri: str, conversations: StubIndex, stub_openai: StubOpenAI, tmp_path: Path
) -> dict[str, str]:
    return os.environ | {
        "REDIS_URL": redis_url,
        "MILVUS_URI": empty_milvus_uri,
        "CONVERSATIONS_URL": conversations.base_url,
        "EMBEDDING_BASE_URL": stub_openai.base_url,
        "EMBEDDING_API_KEY": stub_openai.api_key,
        "EMBEDDING_MODEL": "stub",
        "EMBEDDING_DIMENSION": str(stub_openai.dimension),
        "WORKER_HOLD_TIME": "1",
        "WORKER_MAX_RETRY_DELAY": "0.5",
        "WORKER_HEARTBEAT_FILE": str(tmp_path / "heartbeat.json"),
        "RECONCILE_SCHEDULE_FILE": str(tmp_path / "beat"),
    }


@pytest.fixture
def start_worker(environment: dict[str, str], redis: Redis, tmp_path: Path) -> Iterator[servers.StartProcess]:
    """Starts workers, one process for jobs each, and kills what is left of them: ending in peace takes seconds."""
    running: list[servers.Running] = []

    def start(*options: str, **variables: str) -> servers.Running:
        worker = [
            "-A",
            "indexer_worker.celery_app",
            "worker",
            "--concurrency",
            "1",
            "--without-gossip",
            "--without-mingle",
        ]
        command = [sys.executable, "-m", "celery", *worker, *options]
        log = tmp_path / f"worker-{len(running)}.log"
        running.append(servers.start("the worker", command, log, environment | variables))
        return running[-1]

    yield start
    for worker in running:
        with suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
