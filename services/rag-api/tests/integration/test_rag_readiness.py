"""Start-up, readiness and the OpenAPI document of the shipped app."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest
from indexer_worker.vector_store.collection import ensure_collection
from mh_common import vector_index as fields
from mh_devtools import servers
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from pymilvus import AsyncMilvusClient
from rag_api.settings import Settings

SEARCH = "/api/v1/search"


async def test_readiness_lists_each_dependency(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, stub: StubOpenAI
) -> None:
    for _ in range(3):
        response = await client.get("/readyz")
        assert response.status_code == 200
        names = {name: health["ok"] for name, health in response.json()["dependencies"].items()}
        assert names == {"milvus": True, "conversations-api": True, "embedder": True}
    assert len(stub.requests) == 1
    assert (await client.get("/livez")).json() == {"status": "ok"}


async def test_readiness_never_calls_the_language_model(
    running: RunApp, with_model: Settings, milvus: AsyncMilvusClient, stub: StubOpenAI
) -> None:
    async with running(with_model) as client:
        assert (await client.get("/readyz")).status_code == 200
    assert {request.path for request in stub.requests} == {"/v1/embeddings"}


async def test_each_dependency_that_is_down_is_named(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, stub: StubOpenAI, statuses: list[int]
) -> None:
    stub.add_faults(Fault(status=500))
    statuses += [500, 500, 500]
    response = await client.get("/readyz")
    assert response.status_code == 503
    dependencies = response.json()["dependencies"]
    assert dependencies["milvus"]["ok"]
    assert dependencies["conversations-api"]["detail"] == "The conversations API is unavailable."
    assert dependencies["embedder"]["detail"].startswith("The embedding model is unavailable")


async def test_the_service_starts_without_milvus_and_connects_later(
    running: RunApp, settings: Settings, tmp_path: Path
) -> None:
    port = servers.free_port()
    away = settings.milvus.model_copy(update={"uri": f"http://127.0.0.1:{port}"})
    async with running(settings.model_copy(update={"milvus": away})) as client:
        response = await client.post(SEARCH, json={"query": "fall asleep"})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.json()["detail"] == "The vector index (Milvus) is unavailable."
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert not ready.json()["dependencies"]["milvus"]["ok"]
        assert (await client.get("/livez")).status_code == 200

        server = servers.start_milvus_lite(tmp_path / "late.db", port)
        try:

            async def is_ready() -> bool:
                return (await client.get("/readyz")).status_code == 200

            await eventually(is_ready)
            response = await client.post(SEARCH, json={"query": "fall asleep"})
            assert (response.status_code, response.json()["hits"]) == (200, [])
        finally:
            server.stop()


async def test_a_hanging_milvus_times_out(running: RunApp, settings: Settings) -> None:
    # The kernel accepts the connection, but nothing ever responds.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        uri = f"http://127.0.0.1:{mute.getsockname()[1]}"
        slow = settings.milvus.model_copy(update={"uri": uri, "timeout": 0.2})
        async with running(settings.model_copy(update={"milvus": slow})) as client:
            response = await client.post(SEARCH, json={"query": "fall asleep"})
    assert response.status_code == 503
    assert "Milvus" in response.json()["detail"]


@pytest.mark.parametrize(("model", "dimension"), [("another-model", 64), ("stub-embedding", 32)])
async def test_a_collection_of_another_embedding_model_is_rejected(
    client: httpx.AsyncClient,
    milvus: AsyncMilvusClient,
    index: WriteIndex,
    conversation: MakeConversation,
    caplog: pytest.LogCaptureFixture,
    model: str,
    dimension: int,
) -> None:
    await ensure_collection(milvus, model, dimension)
    for _ in range(3):
        response = await client.post(SEARCH, json={"query": "fall asleep"})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "60"
        detail = response.json()["detail"]
        assert f"'embedding={model};dimension={dimension};" in detail
        assert "'embedding=stub-embedding;dimension=64;schema=7'" in detail
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["dependencies"]["milvus"]["detail"] == detail
    assert caplog.text.count("vector_index_mismatch") == 1

    await milvus.drop_collection(fields.COLLECTION)
    await index([conversation(1)])
    assert (await client.post(SEARCH, json={"query": "fall asleep"})).json()["total_hits"] == 1


async def test_a_collection_replaced_under_a_running_app_is_noticed(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    assert (await client.post(SEARCH, json={"query": "fall asleep"})).json()["total_hits"] == 1
    await milvus.drop_collection(fields.COLLECTION)
    await ensure_collection(milvus, "another-model", 32)
    # The first search fails; the collection is checked again only at the next one.
    assert (await client.post(SEARCH, json={"query": "fall asleep"})).status_code == 503
    response = await client.post(SEARCH, json={"query": "fall asleep"})
    assert "another-model" in response.json()["detail"]


async def test_a_readiness_check_notices_a_changed_embedding_model(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    assert (await client.post(SEARCH, json={"query": "fall asleep"})).status_code == 200
    await milvus.drop_collection(fields.COLLECTION)
    await ensure_collection(milvus, "another-model", 64)
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.post(SEARCH, json={"query": "fall asleep"})).status_code == 503


async def test_concurrent_first_requests(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    responses = await asyncio.gather(*(client.post(SEARCH, json={"query": f"asleep {n}"}) for n in range(20)))
    assert {response.status_code for response in responses} == {200}


async def test_openapi_document_has_examples_and_problems(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path in ("/api/v1/search", "/api/v1/answers"):
        operation = document["paths"][path]["post"]
        assert operation["responses"]["200"]["content"]["application/json"]["example"]
        assert "application/problem+json" in operation["responses"]["503"]["content"]
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        assert document["components"]["schemas"][name]["examples"]
    assert {"502", "503", "504"} <= set(document["paths"]["/api/v1/answers"]["post"]["responses"])
    assert (await client.get("/docs")).status_code == 200


async def test_a_problem_includes_the_request_id(client: httpx.AsyncClient) -> None:
    response = await client.post(SEARCH, json={}, headers={"X-Request-ID": "counselor-7"})
    assert response.headers["x-request-id"] == "counselor-7"
    assert response.json()["request_id"] == "counselor-7"


async def test_the_documented_examples_work(client: httpx.AsyncClient, milvus: AsyncMilvusClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for path, name in ((SEARCH, "SearchRequest"), ("/api/v1/answers", "AnswerRequest")):
        for example in schemas[name]["examples"]:
            assert (await client.post(path, json=example)).status_code == 200
