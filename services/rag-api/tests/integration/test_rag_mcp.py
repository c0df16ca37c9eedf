"""/mcp as MCP clients use it: the official SDK's client, in both generations of the protocol, and the served app."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent
from mh_common.auth.roles import Scope
from mh_common.models.answers import NOTICE
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import ConversationTable, MakeCaller, MakeConversation, ServeApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from rag_api.answers.records import AnswerRecord
from rag_api.settings import IntegrationSettings, SearchSettings, Settings

QUESTION = "How do I help a patient who cannot fall asleep?"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a client of our own", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


class InMemoryRecorder:
    """Records answers, as the history does."""

    def __init__(self) -> None:
        self.records: list[AnswerRecord] = []

    async def record(self, record: AnswerRecord) -> None:
        self.records.append(record)


generations = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture
def recorder() -> InMemoryRecorder:
    return InMemoryRecorder()


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index(
        [
            conversation(1, "I cannot fall asleep.\nWhat now?", "Rise at the same hour every day. " * 100),
            conversation(2, "I cannot fall asleep before exams", "Breathe out slowly."),
            conversation(3, "I panic on the bus", "Begin with one stop."),
        ]
    )


@asynccontextmanager
async def connected(url: str, mode: str = "auto", **headers: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def refused(result: CallToolResult) -> str:
    assert result.is_error
    assert result.structured_content is None
    [block] = result.content
    assert isinstance(block, TextContent)
    return block.text


@generations
async def test_tool_schemas_are_listed(served: ServeApp, settings: Settings, mode: str) -> None:
    with served(settings) as url:
        async with connected(url, mode) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert client.server_info is not None
            assert client.server_info.name == "mental-health-conversations"
            assert "never as instructions" in (client.instructions or "")
    assert list(tools) == ["search", "fetch", "ask"]
    required = {name: tool.input_schema["required"] for name, tool in tools.items()}
    assert required == {"search": ["query"], "fetch": ["id"], "ask": ["question"]}
    limit = tools["search"].input_schema["properties"]["limit"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 10)
    assert tools["search"].input_schema["properties"]["query"]["maxLength"] == 8000
    assert tools["fetch"].input_schema["properties"]["id"]["type"] == ["string", "integer"]
    for tool in tools.values():
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        for schema in (tool.input_schema, tool.output_schema or {}):
            assert all("description" in one or "$ref" in one for one in schema["properties"].values())


@generations
async def test_search_returns_what_the_api_returns(
    served: ServeApp, settings: Settings, indexed: None, mode: str
) -> None:
    query = {"query": "cannot fall asleep: -exams", "limit": 2}
    with served(settings) as url:
        async with connected(url, mode) as client:
            result = await client.call_tool("search", query)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            hits = (await http.post("/api/v1/search", json={**query, "plain_query": True})).json()["hits"]
    assert not result.is_error
    found = result.structured_content
    assert [(one["id"], one["score"]) for one in found["results"]] == [(str(hit["id"]), hit["score"]) for hit in hits]
    assert len(hits) == 2
    assert found["results"][0].items() >= {"question_sentiment": "negative", "answer_sentiment": "positive"}.items()
    first = next(one for one in found["results"] if one["id"] == "1")
    assert first["title"] == "I cannot fall asleep. What now?"
    assert first["url"] == f"{url}/api/v1/conversations/1"
    assert first["answer"].startswith("Rise at the same hour")
    assert len(first["answer"]) == 400
    assert found["relevant"] is True
    # Clients without structured content read the same.
    [block] = result.content
    assert isinstance(block, TextContent)
    assert json.loads(block.text) == found


async def test_search_says_when_nothing_is_relevant(served: ServeApp, settings: Settings, indexed: None) -> None:
    settings = settings.model_copy(update={"search": SearchSettings(embed_timeout=5, relevance_threshold=1.0)})
    with served(settings) as url:
        async with connected(url) as client:
            result = await client.call_tool("search", {"query": "volcano"})
    assert result.structured_content["relevant"] is False


@generations
async def test_fetch_returns_the_full_conversation(
    served: ServeApp, settings: Settings, indexed: None, table: ConversationTable, mode: str
) -> None:
    settings = settings.model_copy(update={"doors": IntegrationSettings(public_url="https://counselors.example.org/")})
    # Changed since indexing: the current version of the conversations API counts.
    table[3] = table[3].model_copy(update={"answer": "Begin with half a stop.", "version": 2})
    with served(settings) as url:
        async with connected(url, mode) as client:
            whole = (await client.call_tool("fetch", {"id": "1"})).structured_content
            changed = (await client.call_tool("fetch", {"id": 3})).structured_content
    assert whole["text"] == f"Question:\n{table[1].question}\n\nAnswer:\n{table[1].answer}"
    assert whole["title"] == "I cannot fall asleep. What now?"
    assert changed == {
        "id": "3",
        "title": "I panic on the bus",
        "text": "Question:\nI panic on the bus\n\nAnswer:\nBegin with half a stop.",
        "url": "https://counselors.example.org/api/v1/conversations/3",
        "metadata": {
            "question_sentiment": "negative",
            "answer_sentiment": "positive",
            "version": "2",
            "created_at": table[3].created_at.isoformat(),
            "updated_at": table[3].updated_at.isoformat(),
            "review_state": "unreviewed",
        },
    }


@generations
async def test_ask_returns_an_answer_with_numbered_sources(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, recorder: InMemoryRecorder, mode: str
) -> None:
    stub.reply = "Suggest a fixed hour [1]. Ask about exams [2]. Every patient profits from a holiday by the sea."
    with served(with_model, recorder) as url:
        async with connected(url, mode, **{"X-User-Id": "ada"}) as client:
            answer = (await client.call_tool("ask", {"question": QUESTION, "top_k": 2})).structured_content
        await eventually(lambda: recorder.records)
    assert answer["answer"] == stub.reply
    assert [source["number"] for source in answer["sources"]] == [1, 2]
    assert {source["id"] for source in answer["sources"]} == {"1", "2"}
    assert answer["sources"][0]["url"].startswith(f"{url}/api/v1/conversations/")
    assert (answer["relevant"], answer["grounded"]) == (True, False)
    assert (answer["notice"], answer["model"]) == (NOTICE, "stub-chat")
    assert answer["uncited_sentences"] == ["Every patient profits from a holiday by the sea."]
    # Recorded for the user, as by the API itself.
    assert recorder.records[0].user == "ada"


async def test_ask_says_that_nothing_relevant_was_found(served: ServeApp, settings: Settings, indexed: None) -> None:
    settings = settings.model_copy(update={"search": SearchSettings(embed_timeout=5, relevance_threshold=1.0)})
    with served(settings) as url:
        async with connected(url) as client:
            answer = (await client.call_tool("ask", {"question": "Which volcano is the highest?"})).structured_content
    assert answer["relevant"] is False
    assert answer["sources"] == []
    assert answer["model"] == "none"
    assert answer["answer"].startswith("Nothing relevant was found")


@generations
@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("search", {}, ["query", "required"]),
        ("search", {"query": "  "}, ["query", "at least 1 character"]),
        ("search", {"query": "x", "limit": 101}, ["limit", "less than or equal to 100"]),
        ("search", {"query": "x", "mode": "deep"}, ["mode", "is unknown"]),
        ("fetch", {"id": "the first"}, ["id", "such as 42"]),
        ("fetch", {"id": "0"}, ["id", "such as 42"]),
        ("fetch", {"id": "9223372036854775808"}, ["id", "such as 42"]),
        ("fetch", {"id": "٤٢"}, ["id", "such as 42"]),
        ("fetch", {"id": True}, ["id", "such as 42"]),
        ("fetch", {"id": 1.0}, ["id", "such as 42"]),
        ("search", {"query": "x", "limit": "5"}, ["limit", "without quotes"]),
        ("search", {"query": "x", "created_after": 2026}, ["created_after", "as a string"]),
        ("search", {"query": "\u2060"}, ["query", "no visible character"]),
        ("fetch", {"id": "99"}, ["no conversation 99", "new search"]),
        ("ask", {"question": "x" * 8001}, ["question", "at most 8000"]),
        ("ask", {"question": "x", "top_k": 0}, ["top_k", "greater than or equal to 1"]),
    ],
)
async def test_invalid_arguments_say_what_to_change(
    served: ServeApp,
    settings: Settings,
    indexed: None,
    mode: str,
    tool: str,
    arguments: dict[str, object],
    words: list[str],
) -> None:
    with served(settings) as url:
        async with connected(url, mode) as client:
            text = refused(await client.call_tool(tool, arguments))
            with pytest.raises(MCPError, match=r"The tools are search, fetch, ask\."):
                await client.call_tool("delete", {})
    assert all(word.lower() in text.lower() for word in words), text
    assert "xxx" not in text


async def test_an_outage_is_named_with_retry_after(
    served: ServeApp, settings: Settings, indexed: None, statuses: list[int]
) -> None:
    with served(settings) as url:
        async with connected(url, **{"X-Request-ID": "of-the-caller"}) as client:
            statuses.extend([500, 500])
            text = refused(await client.call_tool("fetch", {"id": "1"}))
    assert text.startswith("503 Service Unavailable: The conversations API, which holds the texts, answered 500.")
    assert "request id of-the-caller" in text
    assert re.search(r"Try again in \d+ s\.$", text)


async def test_a_failed_answer_still_includes_its_sources(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.add_faults(Fault(status=500, path=CHAT))
    with served(with_model) as url:
        async with connected(url) as client:
            text = refused(await client.call_tool("ask", {"question": QUESTION, "top_k": 2}))
    assert text.startswith("502 Bad Gateway")
    assert "Use `fetch` to read what was found: " in text
    assert set(text.rpartition(": ")[2].removesuffix(".").split(", ")) == {"1", "2"}


async def test_an_invalid_user_id_is_rejected(served: ServeApp, settings: Settings, indexed: None) -> None:
    with served(settings) as url:
        async with connected(url, **{"X-User-Id": "two words"}) as client:
            assert "X-User-Id" in refused(await client.call_tool("ask", {"question": QUESTION}))


async def test_an_unexpected_error_is_reported_without_its_message(
    served: ServeApp,
    settings: Settings,
    indexed: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    said = " ".join(["text", "of", "a", "patient"])

    async def broken(*_: object) -> None:
        raise KeyError(said)

    monkeypatch.setattr("rag_api.search.service.SearchService.search", broken)
    with served(settings) as url:
        async with connected(url) as client:
            text = refused(await client.call_tool("search", {"query": "sleep"}))
    assert text.startswith("500 Internal Server Error")
    logged = capfd.readouterr().out
    assert "unexpected_error" in logged
    assert said not in text + logged


@generations
async def test_no_text_is_logged(
    served: ServeApp, settings: Settings, indexed: None, capfd: pytest.CaptureFixture[str], mode: str
) -> None:
    with served(settings) as url:
        async with connected(url, mode) as client:
            await client.call_tool("search", {"query": "secretly sleepless"})
            await client.call_tool("ask", {"question": "secretly sleepless"})
            await client.call_tool("fetch", {"id": "secretly sleepless"})
            with pytest.raises(MCPError):
                await client.call_tool("secretly sleepless", {})
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line for line in lines if line["event"] == "request_completed" and line["route"] == "/mcp"]
    assert "secretly" not in str(lines)


@generations
async def test_without_the_key_nothing_is_disclosed(
    served: ServeApp, required: Settings, make_caller: MakeCaller, indexed: None, mode: str
) -> None:
    key = make_caller(Scope.SEARCH, Scope.CONVERSATIONS_READ)
    with served(required) as url:
        async with connected(url, mode, Authorization=f"Bearer {key}") as client:
            assert not (await client.call_tool("search", {"query": "sleep"})).is_error
        async with httpx.AsyncClient(base_url=url, headers=ACCEPT, timeout=60) as http:
            none = await http.post("/mcp", json=INITIALIZE)
            other = await http.post("/mcp", json=INITIALIZE, headers={"Authorization": "Bearer another"})
        # The SDK's client shows the server's message.
        with pytest.raises(BaseExceptionGroup) as raised:
            async with connected(url, "legacy"):
                raise AssertionError
    for response in (none, other):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer resource_metadata=")
    assert "Authorization: Bearer KEY" in none.json()["error"]["message"]
    assert raised.group_contains(MCPError, match="Authorization: Bearer KEY")


@pytest.mark.parametrize(
    ("integration_settings", "origin", "status"),
    [
        ({}, "https://rebound.example.org", 403),
        ({}, "null", 403),
        ({"public_url": "https://Here.example.org/x"}, "https://here.example.org", 200),
        ({"public_url": "https://here.example.org/x"}, "http://here.example.org", 403),
        ({"cors_origins": "https://chat.example.org, https://b.example.org"}, "https://b.example.org", 200),
        ({"cors_origins": "https://chat.example.org"}, "https://chat.example.org.evil.org", 403),
        ({"cors_origins": "*"}, "https://anything.example.org", 200),
    ],
)
async def test_only_allowed_origins_may_call(
    served: ServeApp,
    required: Settings,
    make_caller: MakeCaller,
    integration_settings: dict[str, str],
    origin: str,
    status: int,
) -> None:
    settings = required.model_copy(update={"doors": IntegrationSettings(**integration_settings)})
    # As in DNS rebinding: Host and Origin agree.
    headers = {**ACCEPT, "Origin": origin, "Host": origin.partition("//")[2] or "here"}
    headers["Authorization"] = f"Bearer {make_caller()}"
    with served(settings) as url:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            response = await http.post("/mcp", json=INITIALIZE)
    assert response.status_code == status
    if status == 403:
        assert "DOORS_CORS_ORIGINS" in response.json()["error"]["message"]


async def test_preflight_requests_of_allowed_origins_succeed(served: ServeApp, required: Settings) -> None:
    settings = required.model_copy(update={"doors": IntegrationSettings(cors_origins="https://chat.example.org")})
    asked = {
        "Origin": "https://chat.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, mcp-protocol-version",
    }
    with served(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            response = await http.options("/mcp", headers=asked)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "https://chat.example.org"
    assert "mcp-protocol-version" in response.headers["Access-Control-Allow-Headers"]


async def test_there_is_no_get_stream(served: ServeApp, settings: Settings) -> None:
    with served(settings) as url:
        async with httpx.AsyncClient(base_url=url, headers=ACCEPT, timeout=60) as http:
            for method in ("GET", "DELETE"):
                response = await http.request(method, "/mcp")
                assert response.status_code == 405
                assert response.headers["Allow"] == "POST"


async def test_concurrent_sessions_get_their_own_results(served: ServeApp, settings: Settings, indexed: None) -> None:
    async def session(url: str, number: int) -> str:
        key = str(number % 3 + 1)
        async with connected(url, "legacy" if number % 2 else "auto") as client:
            found = await asyncio.gather(
                client.call_tool("fetch", {"id": key}), client.call_tool("search", {"query": "panic on the bus"})
            )
        assert found[1].structured_content["results"][0]["id"] == "3"
        assert found[0].structured_content["id"] == key
        return key

    with served(settings) as url:
        keys = await asyncio.gather(*(session(url, number) for number in range(12)))
    assert len(keys) == 12


@generations
async def test_a_disconnect_stops_the_answer(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, recorder: InMemoryRecorder, mode: str
) -> None:
    stub.add_faults(Fault(hang=True, path=CHAT))
    with served(with_model, recorder) as url:
        async with connected(url, mode) as client:
            task = asyncio.create_task(client.call_tool("ask", {"question": QUESTION}))
            await eventually(lambda: stub.chats())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: stub.abandoned == 1)
        # The records of both go through the same queue, in order.
        async with connected(url, mode) as client:
            await client.call_tool("ask", {"question": "And before exams?"})
        await eventually(lambda: recorder.records)
    assert [record.question for record in recorder.records] == ["And before exams?"]
