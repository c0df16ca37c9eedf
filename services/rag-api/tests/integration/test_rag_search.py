"""POST /api/v1/search on the shipped app, with a real vector search."""

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from indexer_worker.vector_store.collection import ensure_collection
from indexer_worker.vector_store.rows import vector_row
from mh_common import vector_index as fields
from mh_common.embeddings import EmbeddingSettings, OpenAISettings, make_embedder
from mh_common.models import SearchResult, Sentiment
from mh_common.settings import ConversationsSettings
from mh_common.text import is_blank
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.fixtures import ConversationTable, MakeConversation, RunApp, WriteIndex
from pymilvus import AsyncMilvusClient
from rag_api.settings import SearchSettings, Settings

URL = "/api/v1/search"


async def search(client: httpx.AsyncClient, query: str = "fall asleep", **request: Any) -> SearchResult:
    response = await client.post(URL, json={"query": query, **request})
    assert response.status_code == 200, response.text
    return SearchResult.model_validate_json(response.content)


async def test_the_most_similar_conversations_come_first_with_current_texts(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, asked: list[list[int]]
) -> None:
    await index(
        [
            conversation(1, "my dog eats shoes"),
            conversation(2, "I cannot fall asleep at night", "Rise at the same hour. 🌙"),
            conversation(3, "asleep at work"),
        ]
    )
    result = await search(client, "I cannot fall asleep at night", limit=2)
    assert [hit.id for hit in result.hits] == [2, 3]
    assert result.total_hits == 2
    assert result.hits[0].answer == "Rise at the same hour. 🌙"
    assert 0 < result.hits[1].score < result.hits[0].score < 1
    assert asked == [[2, 3]]


async def test_the_local_model_finds_matches_without_shared_words(
    running: RunApp,
    settings: Settings,
    milvus: AsyncMilvusClient,
    table: ConversationTable,
    conversation: MakeConversation,
    stub: StubOpenAI,
) -> None:
    local = settings.model_copy(update={"embedding": EmbeddingSettings(provider="local")})
    embedder = make_embedder(local.embedding, OpenAISettings())
    await ensure_collection(milvus, embedder.model, embedder.dimension)
    questions = ["My husband drinks every evening", "I lie awake for hours", "My child refuses school"]
    rows = [conversation(key, text, "Talk to somebody.") for key, text in enumerate(questions, start=1)]
    vectors = await embedder.embed(questions)
    texts = await embedder.embed([fields.embedded_text(row.question, row.answer) for row in rows])
    await embedder.close()
    table.update({row.id: row for row in rows})
    data = [vector_row(*parts) for parts in zip(rows, vectors, texts, strict=True)]
    await milvus.upsert(fields.COLLECTION, data=data)
    async with running(local) as client:
        result = await search(client, "insomnia", limit=3)
    assert result.hits[0].id == 2
    assert stub.requests == []


async def test_before_anything_is_indexed_there_are_no_hits(
    client: httpx.AsyncClient,
    milvus: AsyncMilvusClient,
    index: WriteIndex,
    conversation: MakeConversation,
    asked: list[list[int]],
) -> None:
    result = await search(client)
    assert (result.hits, result.total_hits, result.index_rebuilding) == ([], 0, False)
    assert asked == []
    await index([conversation(1)])
    assert (await search(client)).total_hits == 1


async def test_equal_scores_are_ordered_by_id_even_at_the_limit(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(key) for key in (9, 4, 7, 1, 8, 2)])
    result = await search(client, limit=3, group_by="none")
    assert [hit.id for hit in result.hits] == [1, 2, 4]


async def test_deleted_and_changed_conversations_are_replaced(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, table: ConversationTable
) -> None:
    await index([conversation(key) for key in range(1, 8)])
    del table[1]
    table[2] = conversation(2, "Something else by now", version=2)
    result = await search(client, limit=3, group_by="none")
    assert [hit.id for hit in result.hits] == [3, 4, 5]


async def test_a_long_run_of_stale_hits_is_skipped(
    client: httpx.AsyncClient,
    index: WriteIndex,
    conversation: MakeConversation,
    table: ConversationTable,
    asked: list[list[int]],
) -> None:
    await index([conversation(key) for key in range(1, 201)])
    for key in range(1, 150):
        del table[key]
    result = await search(client, limit=3, group_by="none")
    assert len({hit.id for hit in result.hits}) == 3
    assert all(hit.id >= 150 for hit in result.hits)
    assert len(asked) <= 8
    assert max(map(len, asked)) <= 200


async def test_only_stale_hits_end_without_hits(
    client: httpx.AsyncClient,
    index: WriteIndex,
    conversation: MakeConversation,
    table: ConversationTable,
    asked: list[list[int]],
) -> None:
    await index([conversation(key) for key in range(1, 41)])
    table.clear()
    assert (await search(client, limit=100)).hits == []
    assert sorted(key for ids in asked for key in ids) == list(range(1, 41))


async def test_the_threshold_is_inclusive(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1, "fall asleep"), conversation(2, "fall from a horse"), conversation(3, "coffee")])
    scores = {hit.id: hit.score for hit in (await search(client)).hits}
    assert 0 <= scores[3] < scores[2] < scores[1] <= 1
    kept = await search(client, similarity_threshold=scores[2])
    assert [hit.id for hit in kept.hits] == [1, 2]
    kept = await search(client, similarity_threshold=scores[1])
    assert [hit.id for hit in kept.hits] == [1]
    assert (await search(client, similarity_threshold=1)).hits == []


async def test_opposite_vectors_score_zero_not_less(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    # Without shared words the stub's cosine similarities are slightly above or below zero.
    await index([conversation(key, f"word{key}", f"another{key}") for key in range(1, 60)])
    scores = [hit.score for hit in (await search(client, "elsewhere", limit=60, mode="semantic")).hits]
    assert len(scores) == 59
    assert min(scores) == 0
    assert scores == sorted(scores, reverse=True)


async def test_filters_of_the_request_are_applied(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    rows = [
        conversation(1, created_at=noon, updated_at=noon + timedelta(hours=2)),
        conversation(2, created_at=noon + timedelta(hours=1), updated_at=noon + timedelta(hours=1)),
        conversation(3, created_at=noon, question_sentiment=Sentiment.NEUTRAL, answer_sentiment=Sentiment.NEGATIVE),
    ]
    await index(rows)
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"question_sentiment": ["neutral"]}, [3]),
        ({"question_sentiment": ["neutral", "negative"]}, [1, 2, 3]),
        ({"answer_sentiment": ["positive"], "ids": [2, 3, 9]}, [2]),
        ({"created_after": "2026-05-01T13:00:00Z"}, [2]),
        ({"created_before": "2026-05-01T15:00:00+02:00"}, [1, 3]),
        ({"updated_after": "2026-05-01T13:00:00.000001Z"}, [1]),
        ({"updated_before": "2026-05-01T13:00:00Z"}, [3]),
        ({"ids": [77]}, []),
    ]
    for filters, expected in cases:
        result = await search(client, group_by="none", **filters)
        assert sorted(hit.id for hit in result.hits) == expected, filters


async def test_any_text_is_treated_as_text(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1), conversation(2, question_sentiment=Sentiment.NEUTRAL)])
    queries = ['" or id > 0 or "', "] or id in [1", "{{ 7 * 7 }}", "\N{RIGHT-TO-LEFT OVERRIDE}x", "\U0001f319"]

    @profile(max_examples=100, deadline=None)
    @given(st.text(min_size=1, max_size=60).filter(lambda text: not is_blank(text) and "\x00" not in text))
    def draw(query: str) -> None:
        queries.append(query)

    draw()
    for query in queries:
        result = await search(client, query, question_sentiment=["neutral"], plain_query=True)
        assert [hit.id for hit in result.hits] == [2], query


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": "   "}, "query"),
        ({"query": "a\x00b"}, "query"),
        ({"query": "x" * 8001}, "query"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 101}, "limit"),
        ({"query": "x", "similarity_threshold": 1.1}, "similarity_threshold"),
        ({"query": "x", "question_sentiment": ["angry"]}, "question_sentiment.0"),
        ({"query": "x", "created_after": "2026-01-01T00:00:00"}, "created_after"),
        ({"query": "x", "filter": "id > 0"}, "filter"),
    ],
)
async def test_invalid_requests_name_the_field(client: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    response = await client.post(URL, json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_the_maximum_number_of_filters_in_a_query(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1), conversation(2, "asleep then", created_at=datetime(2025, 3, 1, tzinfo=UTC))])
    result = await search(client, "asleep" + " created_at:2026" * 50)
    assert [hit.id for hit in result.hits] == [1]


async def test_an_outage_of_the_conversations_api_is_reported(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, statuses: list[int]
) -> None:
    await index([conversation(1)])
    statuses += [500, 500, 500]
    response = await client.post(URL, json={"query": "fall asleep"})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "7"
    assert response.json()["detail"] == "The conversations API, which holds the texts, answered 500."


async def test_an_unreachable_or_silent_conversations_api_is_reported(
    running: RunApp, settings: Settings, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1)])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for url, words in ((f"http://127.0.0.1:{port}", "not answer in time"), ("http://127.0.0.1:9", "be reached")):
            away = ConversationsSettings(url=url, timeout=0.2)
            async with running(settings.model_copy(update={"conversations": away})) as client:
                response = await client.post(URL, json={"query": "fall asleep"})
            assert response.status_code == 503
            assert response.headers["retry-after"] == "5"
            assert response.json()["detail"].startswith("The conversations API, which holds the texts,")
            assert words in response.json()["detail"]


async def test_an_unreadable_response_of_the_conversations_api_is_reported(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation, statuses: list[int]
) -> None:
    await index([conversation(1)])
    statuses.append(200)
    response = await client.post(URL, json={"query": "fall asleep"})
    assert response.status_code == 503
    assert "sent an unreadable response" in response.json()["detail"]


async def test_an_outage_of_the_embedder_is_reported(
    client: httpx.AsyncClient, milvus: AsyncMilvusClient, stub: StubOpenAI
) -> None:
    stub.add_faults(Fault(status=500, headers={"Retry-After": "3"}))
    response = await client.post(URL, json={"query": "fall asleep"})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "3"
    assert "embedding model" in response.json()["detail"]
    assert (await client.post(URL, json={"query": "fall asleep"})).status_code == 200


async def test_a_slow_embedder_is_reported(
    running: RunApp, settings: Settings, milvus: AsyncMilvusClient, stub: StubOpenAI
) -> None:
    stub.add_faults(Fault(hang=True))
    async with running(settings.model_copy(update={"search": SearchSettings(embed_timeout=0.05)})) as client:
        response = await client.post(URL, json={"query": "fall asleep"})
    assert response.status_code == 503
    assert response.json()["detail"] == "The embedding model did not answer in time."


async def test_a_query_rejected_by_the_embedder_is_a_client_error(client: httpx.AsyncClient, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(status=400))
    response = await client.post(URL, json={"query": "fall asleep"})
    assert response.status_code == 422
    assert response.json()["detail"] == "The embedding model rejects this text. Shorten or rephrase it."


async def test_no_query_text_is_logged(
    client: httpx.AsyncClient,
    index: WriteIndex,
    conversation: MakeConversation,
    caplog: pytest.LogCaptureFixture,
    stub: StubOpenAI,
) -> None:
    await index([conversation(1, "asleep zebra", "answer of the walrus")])
    await search(client, "zebra crossing")
    stub.add_faults(Fault(status=500, body="zebra"))
    await client.post(URL, json={"query": "zebra again"})
    logged = caplog.text
    assert "search_completed" in logged
    assert "embedder_failed" in logged
    assert "zebra" not in logged
    assert "walrus" not in logged
