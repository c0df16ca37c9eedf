"""Fixtures of the worker's tests: the stores emptied, the APIs it calls as stubs, and the worker as a process."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from indexer_worker import bootstrap
from indexer_worker.bootstrap import Services
from indexer_worker.settings import Settings
from indexer_worker.vector_store import collection, layout
from mh_common import vector_index as fields
from mh_common.milvus import make_client
from mh_devtools import servers
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.fixtures import LITE, SERVER
from pymilvus import AsyncMilvusClient, CollectionSchema, DataType, MilvusClient
from redis import Redis


@pytest.fixture
def kept_collection() -> str:
    """Description of a collection that `empty_milvus_uri` need not drop; a module whose tests share one says it."""
    return ""


@pytest.fixture
def milvus_kind() -> str:
    """Which Milvus a test runs on; a module whose tests run on a server as well has a fixture of EACH_MILVUS."""
    return LITE


@pytest.fixture
def empty_milvus_uri(
    request: pytest.FixtureRequest, milvus_kind: str, kept_collection: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Address of a Milvus without any row, and without any collection but the one to keep."""
    if milvus_kind == SERVER:
        monkeypatch.setattr(collection.CONVERSATIONS, "schema", schema_of_meaning)
        monkeypatch.setattr(collection.CONVERSATIONS, "indexes", collection.INDEXES[:1])
        # Not as it is remembered of the whole schema.
        monkeypatch.setattr(layout, "_expected_fields", layout._expected_fields.__wrapped__)
    uri: str = request.getfixturevalue("milvus_server_uri" if milvus_kind == SERVER else "milvus_uri")
    client = MilvusClient(uri, dedicated=True)
    if milvus_kind == SERVER:
        # Before what it names: else this server takes the name for that of the dropped collection ever after.
        client.drop_alias(fields.COLLECTION)
    for name in client.list_collections():
        if name == fields.COLLECTION and client.describe_collection(name)["description"] == kept_collection:
            # Much faster than making it again.
            client.delete(name, filter=f"{fields.ID} > 0")
        else:
            client.drop_collection(name)
    client.close()
    return uri


def schema_of_meaning(
    model: str, dimension: int, schema_of: Callable[[str, int], CollectionSchema] = collection.collection_schema
) -> CollectionSchema:
    """Return the collection's schema as far as the server of the tests takes it; rows of the platform fit into it.

    Words came with Milvus 2.5, a second vector with 2.4.
    """
    whole = schema_of(model, dimension)
    schema = AsyncMilvusClient.create_schema(auto_id=False, description=whole.description)
    for field in whole.fields:
        if field.name == fields.TEXT_EMBEDDING:
            schema.add_field(field.name, DataType.ARRAY, element_type=DataType.FLOAT, max_capacity=dimension)
        elif field.name == fields.TEXT:
            schema.add_field(field.name, field.dtype, max_length=field.params["max_length"])
        elif field.name != fields.SPARSE:
            schema.add_field(field.name, field.dtype, is_primary=field.is_primary, **field.params)
    return schema


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
def settings(
    redis: Redis, redis_url: str, empty_milvus_uri: str, conversations: StubIndex, stub_openai: StubOpenAI
) -> Settings:
    return Settings.model_validate(
        {
            "redis": {"url": redis_url},
            "milvus": {"uri": empty_milvus_uri},
            "conversations": {"url": conversations.base_url},
            "embedding": {
                "base_url": stub_openai.base_url,
                "api_key": stub_openai.api_key,
                "model": "former",
                "dimension": stub_openai.dimension,
            },
        }
    )


@pytest.fixture
async def build_services(settings: Settings) -> AsyncIterator[Callable[[str], Awaitable[Services]]]:
    """Assembles the services of a worker that is set to a model."""
    async with AsyncExitStack() as stack:

        async def assembled(model: str) -> Services:
            embedding = settings.embedding.model_copy(update={"model": model})
            return await bootstrap.build_services(settings.model_copy(update={"embedding": embedding}), stack)

        yield assembled


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
        # Shown by pytest where a test fails: what the worker did is told nowhere else.
        print(f"--- {worker.log.name}\n{worker.log.read_text()[-5000:]}")
