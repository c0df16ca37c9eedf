"""The index states over HTTP."""

from typing import Any

import httpx
import pytest
from mh_common.units import conversation_unit

CONTENT = {
    "question": "How do I sleep?",
    "answer": "Slowly.",
    "question_sentiment": "neutral",
    "answer_sentiment": "positive",
}


def unit(conversation_id: int) -> dict[str, Any]:
    return conversation_unit(conversation_id)._asdict()


async def create(client: httpx.AsyncClient) -> int:
    created = await client.post("/api/v1/conversations", json=CONTENT)
    return int(created.json()["id"])


async def state(client: httpx.AsyncClient, key: int) -> Any:
    response = await client.get(f"/api/v1/conversations/{key}/index-state")
    assert response.status_code == 200
    return response.json()


async def report(client: httpx.AsyncClient, *outcomes: dict[str, Any]) -> Any:
    response = await client.post("/internal/index/reports", json={"outcomes": outcomes})
    assert response.status_code == 200
    return response.json()["versions"]


async def test_from_pending_over_failed_to_indexed_and_pending_again(client: httpx.AsyncClient) -> None:
    key = await create(client)
    assert (await state(client, key))["status"] == "pending"

    outcome = {
        **conversation_unit(key)._asdict(),
        "version": 1,
        "status": "failed",
        "reason": "The embedder refused the text.",
    }
    assert await report(client, outcome) == [{**unit(key), "version": 1}]
    assert (await state(client, key))["reason"] == "The embedder refused the text."

    await report(client, {**unit(key), "version": 1, "status": "indexed"})
    done = await state(client, key)
    conversation = (await client.get(f"/api/v1/conversations/{key}")).json()
    assert (done["status"], done["indexed_version"], done["reason"]) == ("indexed", 1, None)
    assert done["lag_seconds"] >= 0
    assert conversation["index_status"] == "indexed"
    assert conversation["updated_at"] == conversation["created_at"]

    await client.patch(f"/api/v1/conversations/{key}", json={"answer": "Deeply."})
    changed = await state(client, key)
    assert (changed["status"], changed["version"], changed["indexed_version"]) == ("pending", 2, 1)


async def test_a_report_tells_the_worker_what_changed_and_what_is_gone(client: httpx.AsyncClient) -> None:
    changed, deleted = await create(client), await create(client)
    await client.patch(f"/api/v1/conversations/{changed}", json={"answer": "Deeply."})
    await client.delete(f"/api/v1/conversations/{deleted}")

    assert await report(
        client,
        {**unit(deleted), "version": 1, "status": "indexed"},
        {**unit(changed), "version": 1, "status": "indexed"},
    ) == [
        {**unit(deleted), "version": None},
        {**unit(changed), "version": 2},
    ]


@pytest.mark.parametrize(("key", "status"), [("999999", 404), ("0", 400), ("abc", 400), (str(2**63), 400)])
async def test_an_unknown_conversation_is_a_problem(client: httpx.AsyncClient, key: str, status: int) -> None:
    response = await client.get(f"/api/v1/conversations/{key}/index-state")

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


@pytest.mark.parametrize(
    "body",
    [
        {"outcomes": []},
        {"outcomes": [{**unit(1), "version": 1, "status": "pending"}]},
        {"outcomes": [{**unit(1), "version": 1, "status": "failed"}]},
        {"outcomes": [{**unit(1), "version": 0, "status": "indexed"}]},
        {"outcomes": [{**unit(1), "version": 1, "status": "indexed"}] * 1001},
    ],
)
async def test_a_report_that_says_nothing_clear_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await client.post("/internal/index/reports", json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]


async def test_the_document_shows_examples_that_the_api_accepts(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    operation = paths["/internal/index/reports"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]

    for example in examples.values():
        assert (await client.post("/internal/index/reports", json=example["value"])).status_code == 200
    assert {"200", "400", "422", "503"} <= set(operation["responses"])
