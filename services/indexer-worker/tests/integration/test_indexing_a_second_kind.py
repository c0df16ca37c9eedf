"""A second kind of units, of which the worker knows only source and collection: notes, each with several units.

With everything the worker assembles, on Milvus Lite: indexing, reports, inventory, reconciliation and rebuild.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.bootstrap import KINDS, Kind, Services, build_services
from indexer_worker.errors import IndexingError
from indexer_worker.indexing.unit_source import LoadedUnit, Vector
from indexer_worker.maintenance import rebuild
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.settings import Settings
from indexer_worker.vector_store.inventory import MilvusInventory
from indexer_worker.vector_store.layout import Layout, Row
from mh_common import vector_index as fields
from mh_common.fields import FoundAdvice, RiskLevel
from mh_common.models import IndexRun, IndexRunKind, IndexRunStatus, UnitScreening
from mh_common.units import IndexStatus, UnitKey, before_first, conversation_units, last_key
from mh_devtools.stubs.index_stub import StubIndex
from pymilvus import AsyncMilvusClient, CollectionSchema, DataType

pytestmark = pytest.mark.redis

COLLECTION = "notes"


def schema(model: str, dimension: int) -> CollectionSchema:
    made = AsyncMilvusClient.create_schema(auto_id=False, description=fields.describe(model, dimension))
    made.add_field("id", DataType.INT64, is_primary=True)
    for name in ("note_id", "place", fields.VERSION):
        made.add_field(name, DataType.INT64)
    made.add_field("embedding", DataType.FLOAT_VECTOR, dim=dimension)
    return made


NOTES = Layout(
    kind="note",
    collection=COLLECTION,
    source="note_id",
    ordinal="place",
    vectors=("embedding",),
    schema=schema,
    indexes=(("embedding", "AUTOINDEX", "COSINE"),),
)


class NoteSource:
    """Notes whose text says which they are. The stub of the API determines which exist."""

    def __init__(self, stub: StubIndex) -> None:
        self._stub = stub

    async def load(self, keys: Sequence[UnitKey]) -> list[LoadedUnit]:
        return [self._loaded(key, self._stub.units[key]) for key in keys if key in self._stub.units]

    def _loaded(self, key: UnitKey, version: int) -> LoadedUnit:
        def make_row(vectors: Sequence[Vector], screening: UnitScreening) -> Row:
            assert (screening.key, screening.risk_level) == (key, RiskLevel.NONE)
            assert screening.unsafe_advice is FoundAdvice.NONE
            place = {"note_id": key.source_id, "place": key.ordinal, fields.VERSION: version}
            return {"id": key.source_id * 1000 + key.ordinal, **place, "embedding": vectors[0]}

        texts = (f"note {key.source_id} {key.ordinal}",)
        return LoadedUnit(key, version, texts, texts, "", make_row)


def note(source_id: int, count: int) -> list[UnitKey]:
    """Return the units of a note."""
    return [UnitKey("note", source_id, ordinal) for ordinal in range(count)]


@pytest.fixture
async def services(settings: Settings, conversations: StubIndex) -> AsyncIterator[Services]:
    def make_source(_: ConversationsAPI) -> NoteSource:
        return NoteSource(conversations)

    async with AsyncExitStack() as stack:
        yield await build_services(settings, stack, [*KINDS, Kind(NOTES, make_source)])


async def held(milvus: AsyncMilvusClient) -> dict[UnitKey, int]:
    """Return the version of each note's unit in the index."""
    inventory = MilvusInventory(milvus, NOTES, timeout=10)
    page = await inventory.page(before_first("note"), last_key("note"))
    assert not page.duplicates
    return page.versions


async def run(services: Services, stub: StubIndex, kind: IndexRunKind) -> IndexRun:
    """Execute a run to its end."""
    step: RunCheckpoint | None = RunCheckpoint(run_id=stub.add_run(kind).id, owner="me")
    kinds = []
    while step is not None:
        kinds.append(step.kind)
        run_id = step.run_id
        step = await services.runs.run_step(step, attempts=0, crashes=0)
    assert kinds[0] is None
    assert kinds[-1] == "note"
    return stub.runs[run_id]


async def test_units_are_written_reported_and_deleted(
    services: Services, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    keys = note(7, 5)
    conversations.units = dict.fromkeys(keys, 3)
    index = services.of("note").index

    await index.index(keys)
    assert await held(milvus) == dict.fromkeys(keys, 3)
    assert [(one.key, one.version, one.status) for one in conversations.outcomes] == [
        (key, 3, IndexStatus.INDEXED) for key in keys
    ]

    del conversations.units[keys[1]]
    conversations.units[keys[2]] = 4
    await index.index(keys)
    await index.give_up(keys[4], "The worker's process died.")

    assert await held(milvus) == {keys[0]: 3, keys[2]: 4, keys[3]: 3}
    last = conversations.outcomes[-1]
    assert (last.key, last.status, last.reason) == (keys[4], IndexStatus.FAILED, "The worker's process died.")
    assert not await milvus.has_collection(fields.COLLECTION), "conversations have a collection of their own"


async def test_pages_of_the_index_may_end_inside_a_note(
    services: Services, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    keys = [*note(1, 1), *note(2, 40), *note(3, 2)]
    conversations.units = dict.fromkeys(keys, 1)
    await services.of("note").index.index(keys)
    inventory = MilvusInventory(milvus, NOTES, timeout=10, max_rows=7)

    low, found = before_first("note"), []
    while low < last_key("note"):
        page = await inventory.page(low, last_key("note"))
        assert len(page.versions) <= 7
        found += sorted(page.versions)
        low = page.high
    assert found == keys
    assert sorted((await inventory.find([*note(2, 3), *note(9, 1)])).versions) == note(2, 3)


async def test_one_reconciliation_goes_through_every_kind(
    services: Services, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    keys = [*note(1, 3), *note(2, 3)]
    conversations.units = dict.fromkeys(keys, 1)
    for key in (1, 2):
        conversations.put(key, f"text {key}")
    await services.of("note").index.index(keys)
    await services.of("conversation").index.index(conversation_units([1, 2]))
    missing, stale, orphaned = keys[1], keys[2], keys[5]
    await milvus.delete(COLLECTION, filter=NOTES.keys_filter([missing]))
    conversations.units[stale] = 2
    del conversations.units[orphaned]
    await milvus.delete(fields.COLLECTION, ids=[2])

    done = await run(services, conversations, IndexRunKind.RECONCILE)

    assert (done.status, done.checked, done.repaired) == (IndexRunStatus.DONE, 7, 4)
    assert (done.missing, done.stale, done.orphaned) == (2, 1, 1)
    assert conversations.queued_units == [*conversation_units([2]), missing, stale, orphaned]


async def test_one_rebuild_goes_through_every_kind(
    services: Services, conversations: StubIndex, milvus: AsyncMilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small steps, so that messages contain a position inside a note."""
    monkeypatch.setattr(rebuild, "STEP_S", -1.0)
    monkeypatch.setattr(rebuild, "FILL_PAGE", 4)
    monkeypatch.setattr(rebuild, "BATCH", 2)
    keys = note(1, 11)
    conversations.units = dict.fromkeys(keys, 1)
    conversations.put(1, "text")

    done = await run(services, conversations, IndexRunKind.REBUILD)

    assert (done.status, done.checked) == (IndexRunStatus.DONE, 12)
    assert await held(milvus) == dict.fromkeys(keys, 1)
    assert not await milvus.has_collection(fields.rebuild_marker(COLLECTION))


async def test_a_kind_that_the_worker_does_not_know_waits_for_one_that_does(services: Services) -> None:
    with pytest.raises(IndexingError, match="does not know units of kind letter"):
        services.of("letter")
