"""The collection and its repository on a real Milvus Lite, and on a Milvus server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from indexer_worker.errors import IndexMismatchError, RowsRefusedError, VectorStoreError
from indexer_worker.vector_store import collection
from indexer_worker.vector_store.collection import CONVERSATIONS, ensure_collection
from indexer_worker.vector_store.layout import Row
from indexer_worker.vector_store.repository import MilvusRepository
from indexer_worker.vector_store.rows import vector_row
from mh_common import vector_index as fields
from mh_common.milvus import make_client
from mh_common.models import Conversation, IndexStatus, Sentiment
from mh_common.units import conversation_units
from mh_devtools.testing.fixtures import EACH_MILVUS, LITE
from pymilvus import AsyncMilvusClient, MilvusException

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(params=EACH_MILVUS)
def milvus_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
    return MilvusRepository(client, CONVERSATIONS, model=model, dimension=dimension, timeout=10)


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[AsyncMilvusClient]:
    client = make_client(uri, token="", timeout=10)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def breakable(uri: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Stand in front of a server; give the address, and what breaks all connections that there are."""
    writers: list[asyncio.StreamWriter] = []
    connections: list[asyncio.Task[None] | None] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", int(uri.rpartition(":")[2]))
        writers.extend((writer, inner_writer))
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    def break_all() -> None:
        while writers:
            writers.pop().transport.abort()

    async with await asyncio.start_server(lead, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", break_all
        break_all()
        await asyncio.gather(*filter(None, connections))


async def count(client: AsyncMilvusClient) -> int:
    rows = await client.query(
        fields.COLLECTION, filter=f"{fields.ID} > 0", output_fields=["count(*)"], consistency_level="Strong"
    )
    return int(rows[0]["count(*)"])


async def test_workers_that_start_together_make_one_collection(empty_milvus_uri: str, milvus_kind: str) -> None:
    async with connected(empty_milvus_uri) as one, connected(empty_milvus_uri) as two:
        await asyncio.gather(*(ensure_collection(client, "fake", 2) for client in (one, two) * 3))
        await ensure_collection(one, "fake", 2)

        found = await two.describe_collection(fields.COLLECTION)
        assert found["description"] == "embedding=fake;dimension=2;schema=7"
        assert {field["name"] for field in found["fields"]} == {
            fields.ID,
            fields.EMBEDDING,
            fields.TEXT_EMBEDDING,
            fields.WORDS,
            fields.QUESTION,
            fields.TEXT,
            *([fields.SPARSE] if milvus_kind == LITE else []),
            fields.QUESTION_SENTIMENT,
            fields.ANSWER_SENTIMENT,
            fields.QUESTION_HASH,
            fields.VERSION,
            fields.CREATED_AT,
            fields.UPDATED_AT,
            *("source_url", "source_date", "category", "author", "import_tag", "risk_level", "unsafe_advice"),
            *("origin", "review_state"),
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


async def test_an_interrupted_start_is_completed_by_the_next(milvus: AsyncMilvusClient) -> None:
    await milvus.create_collection(fields.COLLECTION, schema=collection.CONVERSATIONS.schema("fake", 2))

    await repository(milvus).upsert([row(1)])

    assert await count(milvus) == 1


@pytest.mark.parametrize(("model", "dimension"), [("fake", 3), ("other", 2)])
async def test_a_collection_of_another_model_is_rejected_and_left_unchanged(
    milvus: AsyncMilvusClient, model: str, dimension: int
) -> None:
    await repository(milvus).upsert([row(1)])
    other = repository(milvus, model, dimension)

    for write in (other.upsert([row(2)]), other.delete(conversation_units([1])), other.prepare()):
        with pytest.raises(IndexMismatchError) as refusal:
            await write

    assert "'embedding=fake;dimension=2;schema=7'" in str(refusal.value)
    assert f"needs 'embedding={model};dimension={dimension};schema=7'" in str(refusal.value)
    assert await count(milvus) == 1


@pytest.mark.parametrize("milvus_kind", [LITE])  # the server of the tests has no words
async def test_a_collection_of_an_older_schema_is_rejected_by_naming_its_fields(milvus: AsyncMilvusClient) -> None:
    schema = collection.CONVERSATIONS.schema("fake", 2)
    older = AsyncMilvusClient.create_schema(auto_id=False, description=schema.description)
    for field in schema.fields:
        if field.name in (fields.ID, fields.EMBEDDING):
            older.add_field(field.name, field.dtype, is_primary=field.is_primary, **field.params)
    await milvus.create_collection(fields.COLLECTION, schema=older)

    with pytest.raises(IndexMismatchError, match=r"different fields: .*text_bm25, text_embedding, .*, words"):
        await repository(milvus).prepare()


async def test_a_collection_that_disappeared_is_recreated(milvus: AsyncMilvusClient) -> None:
    index = repository(milvus)
    await index.upsert([row(1)])
    await milvus.drop_collection(fields.COLLECTION)

    with pytest.raises(VectorStoreError):
        await index.upsert([row(2)])
    await index.upsert([row(2)])

    assert await count(milvus) == 1


async def test_an_upsert_puts_each_row_in_the_place_of_the_one_with_its_id(milvus: AsyncMilvusClient) -> None:
    index = repository(milvus)
    await index.upsert([row(1), row(2, "Stays?")])

    await index.upsert([row(1, "Changed?", version=2), row(3)])

    found = await milvus.query(
        fields.COLLECTION,
        filter=f"{fields.ID} > 0",
        output_fields=[fields.QUESTION, fields.VERSION],
        limit=10,
        consistency_level="Strong",
    )
    rows = {one[fields.ID]: (one[fields.QUESTION], one[fields.VERSION]) for one in found}
    assert rows == {1: ("Changed?", 2), 2: ("Stays?", 1), 3: ("How?", 1)}
    assert await count(milvus) == 3


@pytest.mark.parametrize("letter", ["a", "ä", "漢", "😀"])
async def test_a_text_of_any_length_and_script_is_taken_as_far_as_its_field_goes(
    milvus: AsyncMilvusClient, letter: str
) -> None:
    index = repository(milvus)

    await index.upsert([row(1, letter * fields.MAX_VARCHAR_BYTES)])

    [found] = await milvus.get(fields.COLLECTION, ids=[1], output_fields=[fields.QUESTION])
    assert found[fields.QUESTION] == letter * (fields.MAX_VARCHAR_BYTES // len(letter.encode()))


async def test_a_text_beyond_its_field_is_refused_for_good_where_milvus_counts_bytes(
    milvus: AsyncMilvusClient, milvus_kind: str
) -> None:
    index = repository(milvus)
    # More bytes than the field has, in fewer characters. `vector_row` cuts, so that nothing like it is ever sent.
    long = {**row(1), fields.QUESTION: "ä" * 40_000}

    if milvus_kind == LITE:
        await index.upsert([long])
    else:
        with pytest.raises(RowsRefusedError, match="code 1100") as refusal:
            await index.upsert([long])
        assert refusal.value.permanent
    assert await count(milvus) == (1 if milvus_kind == LITE else 0)


async def test_what_a_delete_answers_is_on_a_server_what_it_was_asked_and_on_lite_what_it_removed(
    milvus: AsyncMilvusClient, milvus_kind: str
) -> None:
    await repository(milvus).upsert([row(1), row(2)])

    answers = [await milvus.delete(fields.COLLECTION, ids=ids) for ids in ([1, 2], [1, 2], [8, 9])]

    # So nothing of ours may read it.
    if milvus_kind == LITE:
        assert answers[0] == [1, 2]
        assert [answer["delete_count"] for answer in answers[1:]] == [0, 0]
    else:
        assert [answer["delete_count"] for answer in answers] == [2, 2, 2]
    assert await count(milvus) == 0


async def test_a_connection_that_breaks_in_the_middle_costs_one_attempt_and_no_row(empty_milvus_uri: str) -> None:
    async with breakable(empty_milvus_uri) as (uri, break_all), connected(uri) as client:
        index = repository(client)
        await index.upsert([row(key) for key in range(1, 9)])
        failures = 0

        for version in range(2, 12):
            writing = asyncio.create_task(index.upsert([row(key, version=version) for key in range(1, 9)]))
            await asyncio.sleep(0)
            break_all()
            while True:
                try:
                    await writing
                    break
                except VectorStoreError:
                    failures += 1
                    writing = asyncio.create_task(index.upsert([row(key, version=version) for key in range(1, 9)]))

        assert failures <= 20
        assert await count(client) == 8
        found = await client.get(fields.COLLECTION, ids=list(range(1, 9)), output_fields=[fields.VERSION])
        assert {one[fields.VERSION] for one in found} == {11}


async def test_deleting_passes_over_what_is_not_there(milvus: AsyncMilvusClient) -> None:
    index = repository(milvus)
    await index.delete(conversation_units([5]))
    await index.upsert([row(1), row(2)])

    await index.delete(conversation_units([2, 3]))

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


async def test_duplicates_left_by_dead_workers_are_removed_by_the_next_write(milvus: AsyncMilvusClient) -> None:
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
            index = MilvusRepository(client, CONVERSATIONS, model="fake", dimension=2, timeout=0.3)
            with pytest.raises(VectorStoreError) as failure:
                await index.upsert([row(1, "a secret question")])

    assert "secret" not in str(failure.value)
