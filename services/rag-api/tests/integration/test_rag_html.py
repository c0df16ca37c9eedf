"""Conversations in HTML: search, answers and integrations show and quote plain text."""

from typing import Any

import httpx
import pytest
from mh_devtools.testing.fixtures import MakeConversation, WriteIndex

QUESTION = "<p>I can&rsquo;t fall&nbsp;<b>asleep</b></p>"
ANSWER = "<div>Rise at the same hour every day.</div><p>Leave the bed when you are awake &amp; restless.</p>"
PLAIN_QUESTION = "I can\u2019t fall asleep"
PLAIN_ANSWER = "Rise at the same hour every day.\n\nLeave the bed when you are awake & restless."


@pytest.fixture
async def html(index: WriteIndex, conversation: MakeConversation) -> None:
    """One conversation in HTML, and another one."""
    await index([conversation(1, QUESTION, ANSWER), conversation(2, "My dog eats shoes", "Hide the shoes.")])


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.usefixtures("html")
async def test_hits_and_their_highlights_are_plain_text(client: httpx.AsyncClient) -> None:
    hit = (await post(client, "/api/v1/search", query='"fall asleep"'))["hits"][0]

    assert (hit["question"], hit["answer"]) == (PLAIN_QUESTION, PLAIN_ANSWER)
    assert [hit["question"][start:end] for start, end in hit["highlights"]["question"]] == ["fall", "asleep"]


@pytest.mark.usefixtures("html")
@pytest.mark.parametrize("query", ["nbsp", "div", "rsquo"])
async def test_mark_up_is_no_word(client: httpx.AsyncClient, query: str) -> None:
    assert (await post(client, "/api/v1/search", query=query, mode="keyword"))["hits"] == []


@pytest.mark.usefixtures("html")
async def test_sentences_of_html_are_quoted(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/api/v1/answers", question="How does a patient fall asleep, same hour every day?")

    assert "Rise at the same hour every day" in answer["answer"]
    assert "<" not in answer["answer"]
    assert PLAIN_ANSWER in [source["answer"] for source in answer["sources"]]


@pytest.mark.usefixtures("html")
async def test_integrations_show_plain_text(client: httpx.AsyncClient) -> None:
    text = f"Question: {PLAIN_QUESTION}\nAnswer: {PLAIN_ANSWER}"
    record = (await post(client, "/retrieval", knowledge_id="conversations", query="fall asleep"))["records"][0]
    assert (record["content"], record["title"]) == (text, PLAIN_QUESTION)
    found = (await post(client, "/v1/vector_stores/conversations/search", query="fall asleep"))["data"][0]
    assert found["content"] == [{"type": "text", "text": text}]
    assert (await post(client, "/search", query="fall asleep"))["results"][0]["answer"] == PLAIN_ANSWER
    assert text in (await post(client, "/search-simple", query="fall asleep"))["context"]
