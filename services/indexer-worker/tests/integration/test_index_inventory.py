"""Reading what the index holds, beyond the most rows that Milvus returns at once; from Milvus Lite and a server."""

from collections.abc import Iterable

import pytest
from indexer_worker.errors import VectorStoreError
from indexer_worker.vector_store.collection import CONVERSATIONS, ensure_collection
from indexer_worker.vector_store.inventory import QUERY_LIMIT, InventoryPage, MilvusInventory
from mh_common import vector_index as fields
from mh_common.batches import batched
from mh_common.field_values import to_index_value
from mh_common.milvus import make_client
from mh_common.units import CONVERSATION, UnitKey, before_first, conversation_unit, conversation_units, last_key
from mh_devtools.testing.fixtures import EACH_MILVUS
from pymilvus import AsyncMilvusClient


@pytest.fixture(params=EACH_MILVUS)
def milvus_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def collection(milvus: AsyncMilvusClient) -> AsyncMilvusClient:
    await ensure_collection(milvus, "fake", 2)
    return milvus


async def insert(client: AsyncMilvusClient, ids: Iterable[int], version: int = 1) -> None:
    """Insert rows without checking for existing ones."""
    same: dict[str, object] = {
        fields.EMBEDDING: [0.6, 0.8],
        fields.TEXT_EMBEDDING: [0.6, 0.8],
        **dict.fromkeys((fields.QUESTION, fields.TEXT, fields.WORDS), "text"),
        **dict.fromkeys((fields.QUESTION_SENTIMENT, fields.ANSWER_SENTIMENT), "neutral"),
        **dict.fromkeys((fields.QUESTION_HASH, fields.CREATED_AT, fields.UPDATED_AT), 1),
        "review_state": "unreviewed",
        **{field.name: to_index_value(field, None) for field in fields.FILTERABLE if field.optional},
        fields.VERSION: version,
    }
    rows = [{**same, fields.ID: key} for key in ids]
    for batch in batched(rows, 2000):
        await client.insert(fields.COLLECTION, list(batch))


def inventory(client: AsyncMilvusClient, most: int = 10_000) -> MilvusInventory:
    return MilvusInventory(client, CONVERSATIONS, timeout=10, max_rows=most)


async def pages(reader: MilvusInventory, low: int = 0) -> list[InventoryPage]:
    found = []
    key = conversation_unit(low)
    while key < (end := last_key(CONVERSATION)):
        found.append(await reader.page(key, end))
        key = found[-1].high
    return found


def ids_of(keys: Iterable[UnitKey]) -> list[int]:
    return sorted(key.source_id for key in keys)


async def test_more_rows_than_milvus_returns_at_once_are_all_read_in_pages(collection: AsyncMilvusClient) -> None:
    ids = range(1, QUERY_LIMIT + 4000)
    await insert(collection, reversed(ids))

    found = await pages(inventory(collection))

    assert ids_of(key for page in found for key in page.versions) == list(ids)
    assert max(len(page.versions) for page in found) <= 10_000
    assert [page.duplicates for page in found] == [frozenset()] * len(found)


@pytest.mark.parametrize("most", [2, 7, 1000])
async def test_duplicates_are_found_wherever_pages_end(collection: AsyncMilvusClient, most: int) -> None:
    await insert(collection, range(1, 40))
    await insert(collection, [7, 8, 39], version=2)
    await insert(collection, [8] * 9, version=3)

    found = await pages(inventory(collection, most))

    assert ids_of(key for page in found for key in page.versions) == list(range(1, 40))
    assert ids_of(frozenset[UnitKey]().union(*(page.duplicates for page in found))) == [7, 8, 39]


async def test_named_ids_are_looked_up_however_many(collection: AsyncMilvusClient) -> None:
    await insert(collection, range(1, 3001))
    await insert(collection, [2500], version=4)

    page = await inventory(collection).find(conversation_units([*range(2, 2600), 9999]))

    assert ids_of(page.versions) == list(range(2, 2600))
    assert ids_of(page.duplicates) == [2500]
    assert await inventory(collection).find([]) == InventoryPage(before_first(CONVERSATION), {}, frozenset())


async def test_a_milvus_that_is_away_or_empty_handed_is_one_error(milvus: AsyncMilvusClient) -> None:
    away = make_client("http://127.0.0.1:1", token="", timeout=1)

    for client in (milvus, away):
        with pytest.raises(VectorStoreError, match="Milvus"):
            await MilvusInventory(client, CONVERSATIONS, timeout=1).page(conversation_unit(0), conversation_unit(10))
    await away.close()
