"""Shutdown of a replica, as deployed, while MCP clients are connected."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mh_devtools import servers
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, WriteIndex
from mh_devtools.testing.waiting import eventually
from rag_api.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
async def replica(
    index: WriteIndex, conversation: MakeConversation, with_model: Settings, stub: StubOpenAI, tmp_path: Path
) -> AsyncIterator[tuple[servers.Running, str]]:
    """Gunicorn with two processes, and its URL."""
    await index([conversation(1, "I cannot fall asleep", "Rise at the same hour every day.")])
    port = servers.free_port()
    variables = {
        "WEB_PORT": str(port),
        "WEB_CONCURRENCY": "2",
        "MILVUS_URI": with_model.milvus.uri,
        "CONVERSATIONS_URL": with_model.conversations.url,
        "EMBEDDING_PROVIDER": "openai",
        "EMBEDDING_BASE_URL": stub.base_url,
        "EMBEDDING_API_KEY": stub.api_key,
        "EMBEDDING_MODEL": "stub-embedding",
        "EMBEDDING_DIMENSION": str(stub.dimension),
        "OPENAI_BASE_URL": stub.base_url,
        "OPENAI_API_KEY": stub.api_key,
        "HISTORY_ENABLED": "false",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "rag_api"]
    running = servers.start("rag-api", command, tmp_path / "rag-api.log", {**os.environ, **variables}, tmp_path)
    servers.wait_until(running, lambda: servers.listens(port), timeout=60)
    yield running, f"http://127.0.0.1:{port}/mcp"
    running.stop()


def assert_exited_cleanly(running: servers.Running) -> None:
    assert running.process.wait(60) == 0
    log = running.log.read_text()
    assert "Traceback" not in log
    # Logged when a connection stays open until the shutdown timeout.
    assert "Forcing close" not in log


@asynccontextmanager
async def connected(url: str, mode: str) -> AsyncIterator[Client]:
    """A client without idle connections, so that only a stream could delay the shutdown."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(limits=limits, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def test_idle_sessions_do_not_delay_shutdown(replica: tuple[servers.Running, str]) -> None:
    running, url = replica
    async with connected(url, "legacy") as older, connected(url, "auto") as newer:
        for client in (older, newer):
            assert not (await client.call_tool("search", {"query": "cannot sleep"})).is_error
        running.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(assert_exited_cleanly, running)


async def test_answers_in_progress_are_completed(replica: tuple[servers.Running, str], stub: StubOpenAI) -> None:
    running, url = replica
    stub.add_faults(Fault(hang=True, path=CHAT), Fault(hang=True, path=CHAT))
    stub.reply = "Suggest a fixed hour [1]."
    async with connected(url, "legacy") as older, connected(url, "auto") as newer:
        clients = (older, newer)
        for client in clients:
            # The client fetches a tool's schema after the first result.
            await client.list_tools()
        question = {"question": "Why can a patient not fall asleep?"}
        tasks = [asyncio.create_task(client.call_tool("ask", question)) for client in clients]
        await eventually(lambda: len(stub.chats()) == len(clients))
        running.process.send_signal(signal.SIGTERM)
        port = int(url.rpartition(":")[2].removesuffix("/mcp"))
        await eventually(lambda: not servers.listens(port))
        stub.release()
        answers = [(await task).structured_content for task in tasks]
        await asyncio.to_thread(assert_exited_cleanly, running)
    assert [answer["answer"] for answer in answers] == [stub.reply] * len(clients)
