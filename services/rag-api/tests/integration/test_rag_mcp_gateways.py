"""MCP through the gateways in front of the served app: over HTTP, and through `mh mcp`, which calls the API."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult
from mh_devtools import servers
from mh_devtools.embedded import local_gateway
from mh_devtools.servers import nginx
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.stubs.server import serving
from mh_devtools.testing.fixtures import MakeConversation, WriteIndex
from rag_api.main import create_app
from rag_api.settings import Settings

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("search", {"query": "cannot fall asleep", "limit": 2}),
    ("search", {"query": "id:1 OR (nothing"}),
    ("fetch", {"id": "1"}),
    ("ask", {"question": "How do I help a patient who cannot fall asleep?", "top_k": 2}),
    ("fetch", {"id": "99"}),
    ("search", {"query": "x", "limit": 0}),
]
Gateway = Callable[[Settings], AbstractContextManager[str]]


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index(
        [
            conversation(1, "I cannot fall asleep", "Rise at the same hour every day."),
            conversation(2, "I cannot fall asleep before exams", "Breathe out slowly. Write the worries down."),
            conversation(3, "I panic on the bus", "Begin with one stop."),
        ]
    )


@pytest.fixture(params=["embedded", "nginx"])
def gateway(
    request: pytest.FixtureRequest, served: Gateway, conversations_stub: StubConversations, tmp_path: Path
) -> Gateway:
    """The URL of a gateway in front of the app, which uses the stub as its conversations API."""
    if request.param == "nginx" and not nginx.find_nginx() and os.environ.get("CI") != "true":
        pytest.skip(nginx.MISSING)

    @contextmanager
    def embedded(settings: Settings) -> Iterator[str]:
        conversations = cast(FastAPI, conversations_stub.app)
        apis = {local_gateway.CONVERSATIONS: conversations, local_gateway.RAG: create_app(settings)}
        with serving(local_gateway.Gateway(apis, services_port=0), lifespan=True) as url:
            yield url

    @contextmanager
    def through_nginx(settings: Settings) -> Iterator[str]:
        with served(settings) as rag:
            port = servers.free_port()
            values = {
                "CONVERSATIONS_UPSTREAM": f"server {conversations_stub.base_url.removeprefix('http://')};",
                "RAG_UPSTREAM": f"server {rag.removeprefix('http://')};",
                **dict.fromkeys(("GATEWAY_RATE", "GATEWAY_ANSWERS_RATE"), "10000r/s"),
                **dict.fromkeys(("GATEWAY_BURST", "GATEWAY_ANSWERS_BURST"), "10000"),
            }
            server = nginx.start_nginx(tmp_path, port, values)
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                server.stop()

    return embedded if request.param == "embedded" else through_nginx


async def results_of(client: Client) -> list[CallToolResult]:
    return [await client.call_tool(tool, arguments) for tool, arguments in CALLS]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_every_transport_gives_the_same_results(
    gateway: Gateway, settings: Settings, indexed: None, mode: str
) -> None:
    with gateway(settings) as url:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "mh_client.cli", "--url", url, "mcp"], env=dict(os.environ)
        )
        async with (
            Client(f"{url}/mcp", mode=mode) as direct,
            Client(f"{url}/rag-api/mcp", mode=mode) as prefixed,
            Client(command, mode=mode) as local,
        ):
            listed = [(await client.list_tools()).tools for client in (direct, prefixed, local)]
            results = [await results_of(client) for client in (direct, prefixed, local)]
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            hits = (await http.post("/api/v1/search", json={**CALLS[0][1], "plain_query": True})).json()["hits"]
    assert listed[0] == listed[1] == listed[2]
    for one in results:
        assert [result.is_error for result in one] == [False, False, False, False, True, True]
        assert [result.content for result in one] == [result.content for result in results[0]]
        assert [result.structured_content for result in one] == [result.structured_content for result in results[0]]
        found = one[0].structured_content["results"]
        assert [(each["id"], each["score"]) for each in found] == [(str(hit["id"]), hit["score"]) for hit in hits]
        # Links lead through the gateway, too.
        assert found[0]["url"] == f"{url}/api/v1/conversations/{hits[0]['id']}"


async def test_the_stream_starts_before_the_answer_is_complete(
    gateway: Gateway, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.add_faults(Fault(hang=True, path=CHAT))
    stub.reply = "Suggest a fixed hour [1]."
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": CALLS[3][1]}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    with gateway(with_model) as url:
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http,
            http.stream("POST", "/mcp", json=call) as response,
        ):
            # The model has not responded yet.
            assert response.headers["Content-Type"].startswith("text/event-stream")
            stub.release()
            lines = [line async for line in response.aiter_lines() if line.startswith("data: ")]
    [message] = [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: "]
    assert message["result"]["structuredContent"]["answer"] == stub.reply
