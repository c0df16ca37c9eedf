"""Rebuilds on a Milvus server while rag-api searches: readers get every conversation all the while."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from indexer_worker.maintenance import rebuild
from indexer_worker.maintenance.checkpoints import Phase, RunCheckpoint
from mh_common import vector_index as names
from mh_common.milvus import GRPC_OPTIONS
from mh_common.models import IndexRunKind, IndexRunStatus, SearchMode
from mh_common.units import CONVERSATION, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.fixtures import SERVER
from pymilvus import AnnSearchRequest, AsyncMilvusClient
from rag_api.search.filters import And
from rag_api.search.index import IndexQuery
from rag_api.search.milvus.index import MilvusIndex

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.xdist_group(SERVER)]

BuildServices = Callable[[str], Any]

MODEL = "former"
ROWS = 30


@pytest.fixture(params=[SERVER])
def milvus_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class QuestionsOnly(AsyncMilvusClient):  # type: ignore[misc] # pymilvus ships no types
    """Joined searches of several vectors came with Milvus 2.4: here the question's vector stands for the text's."""

    async def hybrid_search(
        self,
        collection_name: str,
        reqs: Sequence[AnnSearchRequest],
        ranker: object,
        limit: int,
        output_fields: Sequence[str],
        **options: Any,
    ) -> Any:
        wanted = [name for name in output_fields if name != names.TEXT_EMBEDDING]
        where = {"anns_field": reqs[0].anns_field, "filter": reqs[0].expr or ""}
        answer = await self.search(
            collection_name, data=reqs[0].data, limit=limit, output_fields=wanted, **where, **options
        )
        columns = answer[0].lazy_field_data
        for column in [one for one in columns if one.field_name == names.EMBEDDING]:
            copy = type(column)()
            copy.CopyFrom(column)
            copy.field_name = names.TEXT_EMBEDDING
            columns.append(copy)
        return answer


class Readers:
    """Some who search at the same time, each again and again, and note what is not the whole answer."""

    def __init__(self, clients: Sequence[AsyncMilvusClient], dimension: int) -> None:
        self._indexes = [
            MilvusIndex(client, model=MODEL, dimension=dimension, consistency="Strong", timeout=10)
            for client in clients
        ]
        self._query = IndexQuery(SearchMode.SEMANTIC, "text", [1.0, *[0.0] * (dimension - 1)])
        self._stopped = False
        self.searches = 0
        self.faults: list[str] = []

    async def read(self, index: MilvusIndex) -> None:
        while not self._stopped:
            try:
                found = await index.search(self._query, ROWS, And([]))
            except Exception as error:  # whatever it is, a reader was told it
                self.faults.append(repr(error))
                continue
            self.searches += 1
            if sorted(match.unit.key.source_id for match in found) != list(range(1, ROWS + 1)):
                self.faults.append(f"{len(found)} rows")

    async def __aenter__(self) -> "Readers":
        self._tasks = [asyncio.create_task(self.read(index)) for index in self._indexes]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


@pytest.fixture
async def readers(empty_milvus_uri: str, stub_openai: StubOpenAI) -> AsyncIterator[Readers]:
    clients = [QuestionsOnly(empty_milvus_uri, timeout=10, dedicated=True, grpc_options=GRPC_OPTIONS) for _ in range(3)]
    yield Readers(clients, stub_openai.dimension)
    for client in clients:
        await client.close()


async def test_readers_find_every_row_through_a_first_rebuild_and_a_second_that_dies_half_way(
    build_services: BuildServices,
    conversations: StubIndex,
    milvus: AsyncMilvusClient,
    readers: Readers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebuild, "STEP_S", -1.0)
    monkeypatch.setattr(rebuild, "BATCH", 5)
    monkeypatch.setattr(AsyncMilvusClient, "create_alias", slow(AsyncMilvusClient.create_alias))
    for key in range(1, ROWS + 1):
        conversations.put(key, f"text {key}")
    worker = await build_services(MODEL)
    await worker.of(CONVERSATION).index.index(conversation_units(range(1, ROWS + 1)))

    async with readers:
        first = await rebuilt(conversations, [worker])
        of_the_first = await milvus.list_collections()
        # Each step is done by a worker that knows nothing of the one before, which died with its step's message kept.
        second = await rebuilt(conversations, [await build_services(MODEL) for _ in range(3)], twice=True)
        of_the_second = await milvus.list_collections()

    assert readers.faults == []
    assert readers.searches > ROWS
    assert of_the_first == [names.rebuilt_collection(first)]
    assert of_the_second == [names.rebuilt_collection(second)]
    assert (await milvus.describe_alias(names.COLLECTION))["collection_name"] == names.rebuilt_collection(second)
    assert conversations.queued == []


def slow(call: Callable[..., Any]) -> Callable[..., Any]:
    """Delay a call, so that readers see the state before it."""

    async def late(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await call(*arguments, **options)

    return late


async def rebuilt(conversations: StubIndex, workers: Sequence[Any], *, twice: bool = False) -> int:
    """Carry out a rebuild, its steps by these workers in turn, each step twice if wanted; return its id."""
    run_id = conversations.add_run(IndexRunKind.REBUILD).id
    step: RunCheckpoint | None = RunCheckpoint(run_id=run_id, owner="me")
    phases = []
    while step is not None:
        phases.append(step.phase)
        worker = workers[len(phases) % len(workers)]
        if twice and step.phase is not Phase.COMPARE:
            await worker.runs.run_step(step, attempts=0, crashes=0)
        step = await worker.runs.run_step(step, attempts=0, crashes=1 if twice else 0)
    assert phases.count(Phase.FILL) > 1
    assert conversations.runs[run_id].status is IndexRunStatus.DONE
    return run_id
