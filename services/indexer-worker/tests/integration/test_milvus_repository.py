"""The collection and its repository on a real Milvus Lite."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from indexer_worker.errors import IndexMismatchError, VectorStoreError
from indexer_worker.vector_store.collection import collection_schema, ensure_collection
from indexer_worker.vector_store.repository import MilvusRepository
from indexer_worker.vector_store.rows import Row, vector_row
from mh_common import vector_index as fields
from mh_common.milvus import make_client
from mh_common.models import Conversation, IndexStatus, Sentiment
from pymilvus import AsyncMilvusClient, MilvusException

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def row(key: int, question: str = "How?", version: int = 1) -> dict[str, object]:
    conversation = Conversation(
        id=key,
        version=version,
        created_at=NOW,
        updated_at=NOW,
        question=question,
        answer="So.",
        question_sentiment=Sentiment.NEUTRAL,
        answer_sentiment=Sentiment.NEUTRAL,
        index_status=IndexStatus.PENDING,
    )
    return vector_row(conversation, [0.6, 0.8], [0.8, 0.6])


def repository(client: AsyncMilvusClient, model: str = "fake", dimension: int = 2) -> MilvusRepository:
    return MilvusRepository(client, model=model, dimension=dimension, timeout=10)


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[AsyncMilvusClient]:
    client = make_client(uri, token="", timeout=10)
    try:
        yield client
    finally:
        await client.close()


async def count(client: AsyncMilvusClient) -> int:
    rows = await client.query(
        fields.COLLECTION, filter=f"{fields.ID} > 0", output_fields=["count(*)"], consistency_level="Strong"
    )
    return int(rows[0]["count(*)"])


async def test_workers_that_start_together_make_one_collection(empty_milvus_uri: str) -> None:
    async with connected(empty_milvus_uri) as one, connected(empty_milvus_uri) as two:
        await asyncio.gather(*(ensure_collection(client, "fake", 2) for client in (one, two) * 3))
        await ensure_collection(one, "fake", 2)

        found = await two.describe_collection(fields.COLLECTION)
        assert found["description"] == "embedding=fake;dimension=2;schema=2"
        assert {field["name"] for field in found["fields"]} == {
            fields.ID,
            fields.EMBEDDING,
            fields.TEXT_EMBEDDING,
            fields.WORDS,
            fields.QUESTION,
            fields.TEXT,
            fields.SPARSE,
            fields.QUESTION_SENTIMENT,
            fields.ANSWER_SENTIMENT,
            fields.QUESTION_HASH,
            fields.VERSION,
            fields.CREATED_AT,
            fields.UPDATED_AT,
        }


async def test_a_worker_that_looked_before_another_made_the_collection_goes_on_with_that(
    milvus: AsyncMilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ensure_collection(milvus, "fake", 2)
    look, first = milvus.has_collection, iter([False])

    async def look_too_early(name: str) -> bool:
        return next(first, None) is None and await look(name)

    async def refuse(*_: object, **__: object) -> None:
        raise MilvusException(message="collection already exists")  # as a server does; Milvus Lite says nothing

    monkeypatch.setattr(milvus, "has_collection", look_too_early)
    monkeypatch.setattr(milvus, "create_collection", refuse)

    await repository(milvus).upsert([row(1)])

    assert await count(milvus) == 1
    assert next(first, None) is None


async def test_a_start_that_died_half_way_is_finished_by_the_next(milvus: AsyncMilvusClient) -> None:
    await milvus.create_collection(fields.COLLECTION, schema=collection_schema("fake", 2))

    await repository(milvus).upsert([row(1)])

    assert await count(milvus) == 1


@pytest.mark.parametrize(("model", "dimension"), [("fake", 3), ("other", 2)])
async def test_a_collection_of_another_embedding_space_is_refused_and_left_alone(
    milvus: AsyncMilvusClient, model: str, dimension: int
) -> None:
    await repository(milvus).upsert([row(1)])
    other = repository(milvus, model, dimension)

    for write in (other.upsert([row(2)]), other.delete([1]), other.prepare()):
        with pytest.raises(IndexMismatchError) as refusal:
            await write

    assert "'embedding=fake;dimension=2;schema=2'" in str(refusal.value)
    assert f"needs 'embedding={model};dimension={dimension};schema=2'" in str(refusal.value)
    assert await count(milvus) == 1


async def test_a_collection_of_an_older_schema_is_refused_by_naming_its_fields(milvus: AsyncMilvusClient) -> None:
    schema = collection_schema("fake", 2)
    older = AsyncMilvusClient.create_schema(auto_id=False, description=schema.description)
    for field in schema.fields:
        if field.name in (fields.ID, fields.EMBEDDING):
            older.add_field(field.name, field.dtype, is_primary=field.is_primary, **field.params)
    await milvus.create_collection(fields.COLLECTION, schema=older)

    with pytest.raises(IndexMismatchError, match=r"different fields: .*text_bm25, text_embedding, .*, words"):
        await repository(milvus).prepare()


async def test_a_collection_that_vanished_is_made_again(milvus: AsyncMilvusClient) -> None:
    index = repository(milvus)
    await index.upsert([row(1)])
    await milvus.drop_collection(fields.COLLECTION)

    with pytest.raises(VectorStoreError):
        await index.upsert([row(2)])
    await index.upsert([row(2)])

    assert await count(milvus) == 1


async def test_deleting_passes_over_what_is_not_there(milvus: AsyncMilvusClient) -> None:
    index = repository(milvus)
    await index.delete([5])
    await index.upsert([row(1), row(2)])

    await index.delete([2, 3])

    assert await count(milvus) == 1


async def write(index: MilvusRepository, rows: list[Row]) -> None:
    """Write as a worker does: again when the others wrote the same rows too often meanwhile."""
    while True:
        try:
            return await index.upsert(rows)
        except VectorStoreError as error:
            if "Other workers" not in str(error.__cause__):
                raise


async def test_writes_of_the_same_row_at_the_same_moment_leave_one(empty_milvus_uri: str) -> None:
    async with connected(empty_milvus_uri) as one, connected(empty_milvus_uri) as two:
        indexes = [repository(one), repository(two)]
        await indexes[0].prepare()
        for version in range(1, 30):
            await asyncio.gather(*(write(index, [row(key, version=version) for key in range(8)]) for index in indexes))
            assert await count(one) + 1 == 8  # key 0 is not counted


async def test_new_rows_that_two_workers_write_at_the_same_moment_are_there_once(empty_milvus_uri: str) -> None:
    async with connected(empty_milvus_uri) as one, connected(empty_milvus_uri) as two:
        indexes = [repository(one), repository(two)]
        await indexes[0].prepare()
        for first in range(1, 240, 8):
            new = range(first, first + 8)
            await asyncio.gather(*(write(index, [row(key) for key in new]) for index in indexes))
            assert await count(one) == new[-1]


async def test_copies_that_dead_workers_left_go_with_the_next_write(milvus: AsyncMilvusClient) -> None:
    index = repository(milvus)
    await index.upsert([row(1), row(2)])
    # As from workers that found nothing at the same moment, and ended before they counted.
    await milvus.insert(fields.COLLECTION, [row(1), row(1, version=7)])

    await index.upsert([row(1, version=8), row(3)])

    assert await count(milvus) == 3
    [found] = await milvus.get(fields.COLLECTION, ids=[1], output_fields=[fields.VERSION])
    assert found[fields.VERSION] == 8


async def test_an_index_that_does_not_answer_is_one_transient_error_without_any_text() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with connected(f"http://127.0.0.1:{silent.getsockname()[1]}") as client:
            index = MilvusRepository(client, model="fake", dimension=2, timeout=0.3)
            with pytest.raises(VectorStoreError) as failure:
                await index.upsert([row(1, "a secret question")])

    assert "secret" not in str(failure.value)
