"""Risk noticed in a question or query: what each integration shows first, from the shipped app."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent
from mh_common.models import Answer, Conversation, RiskLevel, SearchResult
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, RunApp, ServeApp, WriteIndex
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel
from rag_api.settings import SafetySettings, Settings

ASKED = "My patient says: I will kill myself tonight. How do I help him?"
NOTHING_NOTICED = {"level": "none", "categories": [], "spans": [], "screened": True}
SUMMARY = "Acute risk noticed: suicide"
IN_ERRORS = r"Risk was noticed in the question \(acute: suicide[^)]*\): follow your crisis protocol\. "
UNSCREENED = "[Notice] This question was not screened for risk."
# Each sentence stands in its source, so that no remark about unsupported ones follows.
REPLY = "Please call a crisis line about these thoughts of suicide [1]. Rise at the same hour every day [2]."


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> list[Conversation]:
    rows = [
        conversation(
            1, "I will kill myself", "Please call a crisis line about these thoughts of suicide. Stay with a friend."
        ),
        conversation(
            2, "My patient says he is suicidal", "Ask about suicide in plain words. Make a safety plan together."
        ),
        conversation(3, "How do I help him sleep?", "Rise at the same hour every day."),
    ]
    await index(rows)
    return rows


@pytest.fixture
def unscreened(settings: Settings) -> Settings:
    """Settings with screening switched off."""
    return settings.model_copy(update={"safety": SafetySettings(screening="off")})


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


def sdk(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none is needed", max_retries=0, timeout=20)


async def complete(url: str, messages: Sequence[Any]) -> ChatCompletion:
    async with sdk(url) as client:
        return await client.chat.completions.create(model="mental-health", messages=messages)


async def stream(url: str, messages: Sequence[Any]) -> list[ChatCompletionChunk]:
    async with sdk(url) as client:
        chunks = await client.chat.completions.create(model="mental-health", messages=messages, stream=True)
        return [chunk async for chunk in chunks]


def risk_of(model: BaseModel) -> dict[str, Any]:
    return {name: value for name, value in (model.model_extra or {}).items() if name in ("risk", "risk_notice")}


def text_of(completion: ChatCompletion) -> str:
    text = completion.choices[0].message.content
    assert text is not None
    return text


async def platform_answer(http: httpx.AsyncClient, url: str, question: str = ASKED) -> Answer:
    answer = Answer.model_validate((await http.post(f"{url}/api/v1/answers", json={"question": question})).json())
    assert answer.risk.level is (RiskLevel.ACUTE if question == ASKED else RiskLevel.NONE)
    return answer


async def test_chat_pages_get_the_notice_before_the_answer(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = REPLY
    with served(with_model) as url:
        text = (await http.post(f"{url}/api/chat", json={"user_message": ASKED})).text
        answer = await platform_answer(http, url)
    assert text.startswith(f"[Notice] {SUMMARY}")
    assert text.partition("\n\nSources:\n")[0] == answer.as_text()


async def test_the_notice_does_not_wait_for_the_language_model(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.add_faults(Fault(hang=True, path=CHAT))
    patient = with_model.openai.model_copy(update={"timeout": 100})
    received = ""
    with served(with_model.model_copy(update={"openai": patient})) as url:
        async with http.stream("POST", f"{url}/api/chat", json={"user_message": ASKED}) as response:
            async for text in response.aiter_text():
                if not received:
                    assert text.startswith(f"[Notice] {SUMMARY}")
                    stub.release()
                received += text
    assert not received.rstrip().endswith("no diagnosis.]")


async def test_an_error_comes_after_the_notice(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.add_faults(*[Fault(status=500, path=CHAT)] * 3)
    with served(with_model) as url:
        response = await http.post(f"{url}/api/chat", json={"user_message": ASKED})
        body = {"model": "mental-health", "messages": [{"role": "user", "content": ASKED}], "stream": True}
        streamed = (await http.post(url + CHAT, json=body)).text
        whole = await http.post(url + CHAT, json={**body, "stream": False})
    assert response.status_code == 200
    assert response.text.startswith(f"[Notice] {SUMMARY}")
    assert response.text.endswith("\n\n[Error: The language model answered 500.]\n")
    assert 0 < streamed.index(SUMMARY) < streamed.index("The language model answered 500.")
    assert whole.status_code == 502
    assert re.match(f"{IN_ERRORS}The language model answered 500", whole.json()["error"]["message"])


async def test_an_error_before_the_search_says_that_risk_was_noticed(
    client: httpx.AsyncClient, indexed: None, stub: StubOpenAI
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/api/chat": {"user_message": ASKED},
        CHAT: {"model": "mental-health", "messages": [{"role": "user", "content": ASKED}]},
        "/v1/vector_stores/conversations/search": {"query": ASKED},
        "/search": {"query": ASKED},
        "/retrieval": {"knowledge_id": "conversations", "query": ASKED},
    }
    stub.add_faults(*[Fault(status=500, path="/v1/embeddings")] * len(bodies))
    for path, body in bodies.items():
        response = await client.post(path, json=body)
        assert response.status_code == 503
        assert re.search(f'"{IN_ERRORS}The embedding model is unavailable', response.text)
        # Error messages end up in logs.
        assert "kill" not in response.text


async def test_a_completion_begins_with_the_notice(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = REPLY
    with served(with_model) as url:
        whole = await complete(url, [{"role": "user", "content": ASKED}])
        chunks = await stream(url, [{"role": "user", "content": ASKED}])
        answer = await platform_answer(http, url)
    text = text_of(whole)
    assert text == answer.as_text()
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == text
    assert pieces[0] == ""
    assert pieces[1].startswith(f"[Notice] {SUMMARY}")
    expected = answer.model_dump(mode="json", include={"risk", "risk_notice"})
    assert [risk_of(one) for one in (whole, *chunks)] == [expected, expected, *[{}] * (len(chunks) - 1)]
    # Positions count the notice as well.
    cited = [one.url_citation for one in whole.choices[0].message.annotations or ()]
    assert [text[one.start_index : one.end_index] for one in cited] == ["[1]", "[2]"]


async def test_a_notice_that_comes_back_is_no_sign_of_risk(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    with served(with_model) as url:
        notice = (await platform_answer(http, url)).risk_notice
        assert notice is not None
        stub.requests.clear()
        messages = [
            {"role": "user", "content": "How do I help him sleep?"},
            {"role": "assistant", "content": f"{notice.as_text()}\n\nRise at the same hour [1]."},
            {"role": "user", "content": "And before exams?"},
        ]
        completion = await complete(url, messages)
    assert risk_of(completion) == {"risk": NOTHING_NOTICED}
    assert not text_of(completion).startswith("[Notice]")
    condensed, _ = stub.chats()
    prompt = condensed["messages"][1]["content"]
    assert "Rise at the same hour [1]." in prompt
    assert "[Notice]" not in prompt
    assert "kill" not in prompt


async def test_a_background_prompt_has_no_risk(served: ServeApp, settings: Settings) -> None:
    prompt = f'### Task:\nGenerate a title.\n{{"title": "…"}}\n<chat_history>\nUSER: {ASKED}\n</chat_history>'
    with served(settings) as url:
        completion = await complete(url, [{"role": "user", "content": prompt}])
    assert risk_of(completion) == {}
    assert "[Notice]" not in text_of(completion)


async def test_vector_store_searches_say_what_was_noticed_in_any_query(
    served: ServeApp, settings: Settings, indexed: None
) -> None:
    queries = ["How do I help him sleep?", ASKED]
    with served(settings) as url:
        async with sdk(url) as client:
            page = await client.vector_stores.search("conversations", query=queries)
            harmless = await client.vector_stores.search("conversations", query=queries[0])
    risk, notice = risk_of(page).values()
    assert (risk["level"], risk["categories"][0]) == ("acute", "suicide")
    marked = [str.join("\n", queries)[span["start"] : span["end"]] for span in risk["spans"]]
    assert any("kill" in words and words in ASKED for words in marked)
    assert notice["summary"].startswith(SUMMARY)
    assert page.data
    assert risk_of(harmless) == {"risk": NOTHING_NOTICED, "risk_notice": None}


async def test_workflow_tools_get_the_notice_before_the_results(client: httpx.AsyncClient, indexed: None) -> None:
    body = {"query": ASKED, "limit": 2}
    result = SearchResult.model_validate(
        (await client.post("/api/v1/search", json={**body, "plain_query": True})).json()
    )
    full = (await client.post("/search", json=body)).json()
    simple = (await client.post("/search-simple", json=body)).json()
    expected = result.model_dump(mode="json")
    for found in (full, simple):
        assert list(found)[:2] == ["risk", "risk_notice"]
        assert {name: found[name] for name in ("risk", "risk_notice")} == {
            name: expected[name] for name in ("risk", "risk_notice")
        }
        assert found["total_results"] == len(result.hits) == 2
    notice, first = simple["context"].split("\n\n")[:2]
    assert notice == result.as_line()
    assert notice.startswith(f"[Notice] {SUMMARY}")
    assert first.startswith("Result 1:\n")
    nothing = (await client.post("/search-simple", json={**body, "similarity_threshold": 1})).json()
    assert (nothing["context"], nothing["total_results"]) == (notice, 0)


async def test_dify_records_carry_the_risk_in_the_query(client: httpx.AsyncClient, indexed: None) -> None:
    setting = {"top_k": 2, "score_threshold": 0.0}
    body = {"knowledge_id": "conversations", "query": ASKED, "retrieval_setting": setting}
    result = SearchResult.model_validate((await client.post("/api/v1/search", json={"query": ASKED})).json())
    found = (await client.post("/retrieval", json=body)).json()
    assert list(found) == ["records"]
    assert result.risk_notice is not None
    for record in found["records"]:
        assert record["metadata"]["risk"] == result.risk.model_dump(mode="json")
        assert record["metadata"]["risk_summary"] == result.risk_notice.summary
    assert len(found["records"]) == 2
    strict = {**body, "retrieval_setting": {"top_k": 2, "score_threshold": 1.0}}
    assert (await client.post("/retrieval", json=strict)).json() == {"records": []}


async def test_mcp_tools_return_the_notice_first(
    served: ServeApp, settings: Settings, indexed: None, http: httpx.AsyncClient
) -> None:
    with served(settings) as url:
        async with (
            httpx2.AsyncClient(timeout=30) as transport,
            Client(streamable_http_client(f"{url}/mcp", http_client=transport)) as client,
        ):
            asked = await client.call_tool("ask", {"question": ASKED})
            [found] = (await client.call_tool("search", {"query": ASKED})).content
        answer = await platform_answer(http, url)
    assert answer.risk_notice is not None
    notice, whole = asked.content
    assert isinstance(notice, TextContent)
    assert isinstance(whole, TextContent)
    assert isinstance(found, TextContent)
    assert notice.text == answer.risk_notice.as_text()
    assert json.loads(whole.text) == asked.structured_content
    for one in (asked.structured_content, json.loads(found.text)):
        assert list(one)[:2] == ["risk", "risk_notice"]
        assert one["risk_notice"]["summary"].startswith(SUMMARY)


async def test_where_nothing_is_screened_each_answer_says_so(
    served: ServeApp, running: RunApp, unscreened: Settings, indexed: None, http: httpx.AsyncClient
) -> None:
    with served(unscreened) as url:
        text = (await http.post(f"{url}/api/chat", json={"user_message": ASKED})).text
        completion = await complete(url, [{"role": "user", "content": ASKED}])
    assert text.startswith(f"{UNSCREENED} ")
    assert text.partition("\n\n")[2]
    assert text_of(completion).startswith(f"{UNSCREENED} ")
    assert risk_of(completion) == {"risk": {**NOTHING_NOTICED, "screened": False}}
    body = {"knowledge_id": "conversations", "query": ASKED}
    async with running(unscreened) as client:
        record = (await client.post("/retrieval", json=body)).json()["records"][0]
        simple = (await client.post("/search-simple", json={"query": ASKED})).json()
    assert record["metadata"]["risk"]["screened"] is False
    assert "risk_summary" not in record["metadata"]
    assert simple["risk"]["screened"] is False
    assert simple["context"].startswith("Result 1:\n")
