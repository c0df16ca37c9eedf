"""Search and answers during a rebuild in place: they use what is indexed, and report the rebuild."""

from typing import Any

import httpx
import pytest
from indexer_worker.vector_store.collection import ensure_collection
from mh_common import vector_index as fields
from mh_devtools.testing.fixtures import MakeConversation, WriteIndex
from pymilvus import AsyncMilvusClient, DataType
from rag_api.search.milvus import collection


async def mark(milvus: AsyncMilvusClient) -> None:
    """Mark a rebuild as running, as the worker does."""
    schema = AsyncMilvusClient.create_schema(auto_id=False, description="run=1")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
    await milvus.create_collection(fields.REBUILD_MARKER, schema=schema)


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(f"/api/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_search_and_answers_work_during_a_rebuild_and_report_it(
    client: httpx.AsyncClient,
    milvus: AsyncMilvusClient,
    index: WriteIndex,
    conversation: MakeConversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collection, "RECHECK_INTERVAL_REBUILDING_S", 0.0)
    await index([conversation(1), conversation(2)])
    assert (await post(client, "search", query="fall asleep"))["index_rebuilding"] is False

    await mark(milvus)
    try:
        await milvus.drop_collection(fields.COLLECTION)
        nothing = await post(client, "search", query="fall asleep")
        no_answer = await post(client, "answers", question="fall asleep")
        await ensure_collection(milvus, "stub-embedding", 64)
        empty = await post(client, "search", query="fall asleep")
        await index([conversation(2)])
        some = await post(client, "search", query="fall asleep")
        answer = await post(client, "answers", question="fall asleep")
    finally:
        await milvus.drop_collection(fields.REBUILD_MARKER)
    await index([conversation(1), conversation(2)])
    whole = await post(client, "search", query="fall asleep", group_by="none")

    assert (nothing["hits"], nothing["index_rebuilding"]) == (empty["hits"], empty["index_rebuilding"]) == ([], True)
    assert (no_answer["model"], no_answer["index_rebuilding"]) == ("none", True)
    assert [hit["id"] for hit in some["hits"]] == [2]
    assert some["index_rebuilding"] is True
    assert ([source["id"] for source in answer["sources"]], answer["index_rebuilding"]) == ([2], True)
    assert ([hit["id"] for hit in whole["hits"]], whole["index_rebuilding"]) == ([1, 2], False)
