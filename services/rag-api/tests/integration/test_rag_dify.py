"""POST /retrieval on the shipped app, as Dify calls it."""

import json
from typing import Any

import httpx
import pytest
from mh_common.auth.roles import Scope
from mh_common.models import Sentiment
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeCaller, MakeConversation, RunApp, WriteIndex
from pymilvus import AsyncMilvusClient
from rag_api.settings import Settings

PATH = "/retrieval"


def body(query: str = "fall asleep", **changes: Any) -> dict[str, Any]:
    """A request body as Dify sends it."""
    setting = {"top_k": 5, "score_threshold": 0.0}
    return {"retrieval_setting": setting, "query": query, "knowledge_id": "conversations", **changes}


@pytest.fixture
def key(make_caller: MakeCaller) -> str:
    """A key that may search."""
    return make_caller(Scope.SEARCH, Scope.CONVERSATIONS_READ)


async def test_records_equal_the_search_hits(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index(
        [
            conversation(1, "my dog eats shoes", question_sentiment=Sentiment.NEUTRAL),
            conversation(2, "I cannot fall asleep at night", "Rise at the same hour. 🌙"),
            conversation(3, "asleep at work", answer_sentiment=Sentiment.NEGATIVE),
        ]
    )
    request = {"query": "I cannot fall asleep", "limit": 2, "plain_query": True}
    hits = (await client.post("/api/v1/search", json=request)).json()["hits"]
    setting = {"top_k": 2, "score_threshold": 0.0}
    # As Dify sends it: JSON with a content type.
    content = json.dumps(body("I cannot fall asleep", retrieval_setting=setting))
    response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 200
    assert [hit["id"] for hit in hits] == [2, 3]
    assert response.json() == {
        "records": [
            {
                "content": f"Question: {hit['question']}\nAnswer: {hit['answer']}",
                "score": hit["score"],
                "title": hit["question"],
                "metadata": {
                    "id": hit["id"],
                    "link": f"http://rag-api/api/v1/conversations/{hit['id']}",
                    "question_sentiment": hit["question_sentiment"],
                    "answer_sentiment": hit["answer_sentiment"],
                    "created_at": hit["created_at"],
                    "updated_at": hit["updated_at"],
                    "review_state": "unreviewed",
                    "risk": {"level": "none", "categories": [], "spans": [], "screened": True},
                },
            }
            for hit in hits
        ]
    }


async def test_a_long_title_is_shortened(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1, "asleep " + "and again " * 20), conversation(2, "a" * 100)])
    records = (await client.post(PATH, json=body())).json()["records"]
    titles = {record["metadata"]["id"]: record["title"] for record in records}
    assert titles[1].startswith("asleep and again")
    assert titles[1].endswith("…")
    assert len(titles[1]) <= 80
    assert titles[2] == "Conversation 2"


async def test_filter_syntax_in_the_query_is_text(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1), conversation(2, "asleep again")])
    records = (await client.post(PATH, json=body('asleep mood:low -again id:1 "none"'))).json()["records"]
    assert len(records) == 2


@pytest.mark.parametrize("authorization", [None, "{key}", "Basic {key}", "Bearer", "Bearer  "])
async def test_a_malformed_authorization_header_is_rejected(
    running: RunApp, required: Settings, key: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.format(key=key)}
    async with running(required) as client:
        response = await client.post(PATH, json=body(), headers=headers)
    assert response.status_code == 403
    assert response.json() == {"error_code": 1001, "error_msg": "The Authorization header must be: Bearer KEY"}


@pytest.mark.parametrize("content", ["", "{", json.dumps(body())])
async def test_a_wrong_key_is_rejected_whatever_the_body(
    running: RunApp, required: Settings, key: str, content: str
) -> None:
    headers = {"Authorization": f"Bearer {key[:-1]}", "Content-Type": "application/json"}
    async with running(required) as client:
        response = await client.post(PATH, content=content, headers=headers)
    assert response.status_code == 403
    assert response.json()["error_code"] == 1002
    assert key[:-1] not in response.text


async def test_the_key_is_accepted_and_ignored_where_there_are_no_accounts(
    running: RunApp,
    settings: Settings,
    required: Settings,
    key: str,
    index: WriteIndex,
    conversation: MakeConversation,
    conversations_stub: StubConversations,
) -> None:
    await index([conversation(1)])
    async with running(required) as client:
        opened = await client.post(PATH, json=body(), headers={"Authorization": f"bearer {key}"})
        assert (opened.status_code, len(opened.json()["records"])) == (200, 1)
    conversations_stub.callers = None
    async with running(settings) as client:
        for headers in ({}, {"Authorization": "Bearer whatever"}):
            assert (await client.post(PATH, json=body(), headers=headers)).status_code == 200


@pytest.mark.parametrize("content_type", [None, "application/json", "application/x-www-form-urlencoded"])
async def test_the_registration_probe_without_a_body_passes(
    running: RunApp, required: Settings, key: str, content_type: str | None
) -> None:
    headers = {"Authorization": f"Bearer {key}", **({"Content-Type": content_type} if content_type else {})}
    async with running(required) as client:
        response = await client.post(PATH, headers=headers)
    # Dify treats 403, 404 and 502 as failures.
    assert response.status_code == 400
    assert response.json() == {"error_code": 400, "error_msg": "body: is required"}


async def test_an_unknown_knowledge_id_is_reported(client: httpx.AsyncClient, stub: StubOpenAI) -> None:
    response = await client.post(PATH, json=body(knowledge_id="AAA-BBB-CCC"))
    assert response.status_code == 404
    message = "Unknown knowledge base. Set the External Knowledge ID to conversations."
    assert response.json() == {"error_code": 2001, "error_msg": message}
    assert stub.requests == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "The body is not valid JSON."),
        ("[]", "body: must be a JSON object"),
        ('{"query": "x"}', "knowledge_id: is required"),
        (json.dumps(body("  ")), "query: String should have at least 1 character"),
        (json.dumps(body(retrieval_setting={"top_k": 0})), "retrieval_setting.top_k: Input should be greater than"),
        (json.dumps(body(retrieval_setting={"top_k": 101})), "retrieval_setting.top_k: Input should be less than"),
        (json.dumps(body(retrieval_setting={"score_threshold": 1.5})), "retrieval_setting.score_threshold: Input"),
    ],
)
async def test_an_invalid_body_is_reported_in_difys_format(
    client: httpx.AsyncClient, content: str, message: str
) -> None:
    response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error_code"] == 400
    assert response.json()["error_msg"].startswith(message)


async def test_unknown_keys_of_later_dify_versions_are_ignored(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    setting = {"top_k": 3, "score_threshold": 0.0, "reranking_enable": False}
    response = await client.post(PATH, json=body(retrieval_setting=setting, user="somebody"))
    assert len(response.json()["records"]) == 1


async def test_top_k(client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation) -> None:
    await index([conversation(key, f"asleep {key}") for key in range(1, 13)])
    for setting, count in (
        ({"top_k": 3, "score_threshold": 0.0}, 3),
        ({"top_k": 100, "score_threshold": 0.0}, 12),
        ({"top_k": None, "score_threshold": None}, 10),
        ({}, 10),
    ):
        records = (await client.post(PATH, json=body(retrieval_setting=setting))).json()["records"]
        assert len(records) == count


async def test_the_threshold_applies_and_0_disables_it(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1, "asleep at night"), conversation(2, "asleep"), conversation(3, "my dog eats shoes")])
    scores: dict[int, float] = {}
    for record in (await client.post(PATH, json=body("asleep at night"))).json()["records"]:
        scores[record["metadata"]["id"]] = record["score"]
    assert set(scores) == {1, 2, 3}
    for threshold in (scores[3], scores[2], scores[1]):
        setting = {"top_k": 5, "score_threshold": threshold}
        records = (await client.post(PATH, json=body("asleep at night", retrieval_setting=setting))).json()["records"]
        assert {record["metadata"]["id"] for record in records} == {
            key for key, score in scores.items() if score >= threshold
        }
    setting = {"top_k": 5, "score_threshold": 1.0}
    response = await client.post(PATH, json=body("zebra", retrieval_setting=setting))
    assert (response.status_code, response.json()) == (200, {"records": []})


async def test_an_outage_is_reported_in_difys_format(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, stub: StubOpenAI, statuses: list[int]
) -> None:
    await index([conversation(1)])
    stub.add_faults(Fault(status=500, headers={"Retry-After": "3"}))
    response = await client.post(PATH, json=body("walking"))
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert response.json()["error_code"] == 503
    assert "embedding model" in response.json()["error_msg"]
    statuses += [500, 500]
    response = await client.post(PATH, json=body())
    message = "The conversations API, which holds the texts, answered 500."
    assert (response.status_code, response.json()) == (503, {"error_code": 503, "error_msg": message})


async def test_no_text_is_logged(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, caplog: pytest.LogCaptureFixture
) -> None:
    await index([conversation(1, "asleep zebra", "answer of the walrus")])
    condition = {"name": "zebra", "comparison_operator": "is", "value": "walrus"}
    refused = await client.post(PATH, json=body("zebra", metadata_condition={"conditions": [condition]}))
    assert refused.status_code == 400
    assert "walrus" not in refused.text
    assert (await client.post(PATH, json=body("zebra"))).status_code == 200
    assert "search_completed" in caplog.text
    assert "zebra" not in caplog.text
    assert "walrus" not in caplog.text


async def test_the_documented_example_works_and_the_key_is_documented(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"][PATH]["post"]
    assert operation["security"] == [{"HTTPBearer": ["search"]}]
    assert set(operation["responses"]) >= {"200", "400", "403", "404", "503"}
    (example,) = document["components"]["schemas"]["RetrievalRequest"]["examples"]
    response = await client.post(PATH, json=example)
    assert (response.status_code, response.json()) == (200, {"records": []})
