"""POST /search, POST /search-simple and GET /healthcheck on the shipped app."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from pymilvus import AsyncMilvusClient
from rag_api.settings import IntegrationSettings, Settings

PATHS = ["/search", "/search-simple"]
NO_RISK: dict[str, Any] = {
    "risk": {"level": "none", "categories": [], "spans": [], "screened": True},
    "risk_notice": None,
}


async def test_results_equal_the_search_hits(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    rows = [
        conversation(1, "my dog eats shoes"),
        conversation(2, "I cannot fall asleep at night", "Rise at the same hour. 🌙"),
        conversation(3, "asleep at work", created_at=datetime(2025, 12, 31, 23, 59, tzinfo=UTC)),
    ]
    await index(rows)
    query = {"query": "I cannot fall asleep at night", "limit": 2}
    hits = (await client.post("/api/v1/search", json={**query, "plain_query": True})).json()["hits"]
    response = await client.post("/search", json=query)
    assert response.status_code == 200
    assert response.json() == {
        "results": [
            {
                "question": hit["question"],
                "answer": hit["answer"],
                "review_state": "unreviewed",
                "link": f"http://rag-api/api/v1/conversations/{hit['id']}",
                "date": hit["created_at"][:10],
                "similarity_score": hit["score"],
            }
            for hit in hits
        ],
        "total_results": 2,
        **NO_RISK,
    }
    assert [result["date"] for result in response.json()["results"]] == ["2026-03-01", "2025-12-31"]


async def test_search_simple_returns_the_same_results_as_text(
    running: RunApp, settings: Settings, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(7, "Asleep in the day", "Light."), conversation(9, "asleep?", "Two\nlines.")])
    integrations = IntegrationSettings(public_url="https://minds.example.org/")
    async with running(settings.model_copy(update={"doors": integrations})) as client:
        full = (await client.post("/search", json={"query": "asleep in the day"})).json()
        simple = (await client.post("/search-simple", json={"query": "asleep in the day"})).json()
    first, second = full["results"]
    assert simple["context"] == (
        "Result 1:\nQuestion: Asleep in the day\nAnswer: Light.\n"
        "Source: https://minds.example.org/api/v1/conversations/7\nDate: 2026-03-01\n"
        f"Relevance: {first['similarity_score']:.3f}\n\n"
        "Result 2:\nQuestion: asleep?\nAnswer: Two\nlines.\n"
        "Source: https://minds.example.org/api/v1/conversations/9\nDate: 2026-03-01\n"
        f"Relevance: {second['similarity_score']:.3f}"
    )
    left_out = ("answer", "review_state")
    expected = [{name: value for name, value in one.items() if name not in left_out} for one in (first, second)]
    assert simple["sources"] == expected
    assert simple["total_results"] == 2


async def test_links_use_the_host_seen_by_the_gateways_caller(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(4)])
    headers = {"Host": "minds.example.org:8443", "X-Forwarded-Proto": "https"}
    found = (await client.post("/search", json={"query": "asleep"}, headers=headers)).json()
    assert [one["link"] for one in found["results"]] == ["https://minds.example.org:8443/api/v1/conversations/4"]


async def test_filter_syntax_in_the_query_is_text(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1), conversation(2, "another asleep")])
    found = await client.post("/search", json={"query": 'asleep -another mood:low id:1 "none such"'})
    assert found.json()["total_results"] == 2


@pytest.mark.parametrize("path", PATHS)
async def test_limit_and_threshold(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, path: str
) -> None:
    await index([conversation(key, f"asleep {key}") for key in range(1, 13)])
    for limit, count in ((None, 10), (3, 3), (100, 12)):
        body = {"query": "asleep 3", **({} if limit is None else {"limit": limit})}
        assert (await client.post(path, json=body)).json()["total_results"] == count
    scores = [
        one["similarity_score"] for one in (await client.post("/search", json={"query": "x 3"})).json()["results"]
    ]
    threshold = sorted(scores)[-3]
    found = (await client.post(path, json={"query": "x 3", "similarity_threshold": threshold})).json()
    assert found["total_results"] == sum(score >= threshold for score in scores)


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_found(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, path: str
) -> None:
    await index([conversation(1)])
    body = {"query": "zebra", "similarity_threshold": 1}
    found = (await client.post(path, json=body)).json()
    nothing: dict[str, Any] = {"results": []} if path == "/search" else {"context": "", "sources": []}
    assert found == {**nothing, "total_results": 0, **NO_RISK}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ('{"limit": 5}', "query: is required"),
        ('{"query": "  "}', "query: String should have at least 1 character"),
        (
            '{"query": "x", "limit": 0, "similarity_threshold": 2}',
            "limit: Input should be greater than or equal to 1; "
            "similarity_threshold: Input should be less than or equal to 1",
        ),
        (
            '{"query": "x", "similarity_treshold": 1}',
            "similarity_treshold: is unknown; remove or correct it",
        ),
        ("{", "The body is not valid JSON."),
        ("", "body: is required"),
    ],
)
async def test_an_invalid_body_is_reported_in_fastapis_format(
    client: httpx.AsyncClient, path: str, content: str, detail: str
) -> None:
    response = await client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"detail": detail}


@pytest.mark.parametrize("path", PATHS)
async def test_an_outage_is_reported(
    client: httpx.AsyncClient,
    index: WriteIndex,
    conversation: MakeConversation,
    path: str,
    statuses: list[int],
    stub: StubOpenAI,
) -> None:
    await index([conversation(1)])
    statuses += [500, 500, 500]
    response = await client.post(path, json={"query": "asleep"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    assert response.json() == {"detail": "The conversations API, which holds the texts, answered 500."}
    stub.add_faults(Fault(status=500, headers={"Retry-After": "3"}))
    response = await client.post(path, json={"query": "walking"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert "embedding model" in response.json()["detail"]


@pytest.mark.parametrize("path", PATHS)
async def test_an_outage_of_milvus_is_reported(running: RunApp, settings: Settings, path: str) -> None:
    away = settings.milvus.model_copy(update={"uri": "http://127.0.0.1:9", "timeout": 1})
    async with running(settings.model_copy(update={"milvus": away})) as client:
        response = await client.post(path, json={"query": "asleep"})
    assert response.status_code == 503
    assert response.json()["detail"].startswith("The vector index (Milvus)")


async def test_the_healthcheck_summarizes_readiness(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, statuses: list[int]
) -> None:
    response = await client.get("/healthcheck")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    statuses += [500, 500]
    response = await client.get("/healthcheck")
    assert response.status_code == 503
    detail = "conversations-api: The conversations API is unavailable."
    assert response.json() == {"status": "unavailable", "detail": detail}


async def test_the_documented_example_works_and_errors_are_documented(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    for path in PATHS:
        responses = document["paths"][path]["post"]["responses"]
        for status in ("422", "503"):
            assert responses[status]["content"]["application/json"]["schema"]["$ref"].endswith("/Detail")
        for example in document["components"]["schemas"]["PlainSearch"]["examples"]:
            assert (await client.post(path, json=example)).status_code == 200
