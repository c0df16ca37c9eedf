"""`mh mcp`, started by the official SDK's client, over standard input and output."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from mh_client import Role, Scope
from mh_common.models import Conversation, IndexStatus, Sentiment
from mh_devtools.stubs.access_stub import StubAccess
from mh_devtools.stubs.platform_stub import ACUTE, StubPlatform

ARGUMENTS = ["-m", "mh_client.cli"]
NOWHERE = "http://127.0.0.1:1"


@asynccontextmanager
async def connected(*options: str, mode: str = "auto", **variables: str) -> AsyncIterator[Client]:
    arguments = [*ARGUMENTS, "mcp", *options]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ) | variables)
    async with Client(server, mode=mode) as client:
        yield client


def text_of(result: CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_tools_call_the_platform(stub: StubPlatform, mode: str) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    stub.listed = [
        Conversation(
            id=7,
            version=2,
            created_at=at,
            updated_at=at,
            question="¿Cómo duermo? " * 20,
            answer="A la misma hora.\n",
            question_sentiment=Sentiment.NEGATIVE,
            answer_sentiment=Sentiment.NEUTRAL,
            index_status=IndexStatus.PENDING,
        )
    ]
    async with connected(mode=mode, MH_URL=stub.base_url) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["search", "fetch", "ask"]
        found = await client.call_tool("search", {"query": "sleep: -well", "limit": 5})
        whole = await client.call_tool("fetch", {"id": "7"})
        answer = await client.call_tool("ask", {"question": "bus", "top_k": 2})
    assert stub.queries == [
        {"query": "sleep: -well", "limit": 5, "plain_query": True},
        {"question": "bus", "top_k": 2},
    ]
    [result] = found.structured_content["results"]
    assert (result["id"], result["title"]) == ("7", "How do I [bold]sleep[/bold]? Really.")
    assert result["url"] == f"{stub.base_url}/api/v1/conversations/7"
    assert whole.structured_content["text"] == f"Question:\n{'¿Cómo duermo? ' * 20}\n\nAnswer:\nA la misma hora.\n"
    assert len(whole.structured_content["title"]) == 100
    assert whole.structured_content["title"].endswith("…")
    assert whole.structured_content["metadata"]["version"] == "2"
    assert answer.structured_content["answer"] == "At the same hour [1]."
    assert [(one["number"], one["id"]) for one in answer.structured_content["sources"]] == [(1, "7")]
    for one in (found, whole, answer):
        assert json.loads(text_of(one)) == one.structured_content


async def test_what_was_noticed_is_read_first(stub: StubPlatform) -> None:
    stub.noticed = ACUTE
    async with connected("--url", stub.base_url) as client:
        found = await client.call_tool("search", {"query": "take them all tonight"})
        answer = await client.call_tool("ask", {"question": "He wants to take them all tonight"})
        failed = await client.call_tool("ask", {"question": "too much"})
    notice, whole = answer.content
    assert isinstance(notice, TextContent)
    assert isinstance(whole, TextContent)
    assert notice.text == ACUTE.as_text()
    assert json.loads(whole.text) == answer.structured_content
    # ChatGPT reads one block of JSON.
    assert json.loads(text_of(found)) == found.structured_content
    assert text_of(failed).startswith(f"{ACUTE.as_text()}\n\n503 Service Unavailable: The stub refuses.")
    for one in (found, answer):
        assert list(one.structured_content)[:2] == ["risk", "risk_notice"]
        assert one.structured_content["risk"]["level"] == "acute"
        assert one.structured_content["risk_notice"] == ACUTE.model_dump(mode="json")["risk_notice"]


async def test_results_below_the_threshold_are_not_relevant(stub: StubPlatform) -> None:
    async with connected("--url", stub.base_url) as client:
        off_topic = await client.call_tool("search", {"query": "off topic"})
        nothing = await client.call_tool("search", {"query": "nothing"})
        sleep = await client.call_tool("search", {"query": "sleep"})
    relevant = [one.structured_content["relevant"] for one in (off_topic, nothing, sleep)]
    assert relevant == [False, False, True]


async def test_errors_are_returned_to_the_model(stub: StubPlatform) -> None:
    async with connected("--url", stub.base_url) as client:
        missing = await client.call_tool("fetch", {"id": "8"})
        unfit = await client.call_tool("search", {"query": "a patient's words", "limit": 1000})
        down = await client.call_tool("ask", {"question": "too much"})
    assert all(one.is_error for one in (missing, unfit, down))
    assert "no conversation 8" in text_of(missing)
    assert "limit: Input should be less than or equal to 100" in text_of(unfit)
    assert "a patient's words" not in text_of(unfit)
    assert text_of(down).startswith("503 Service Unavailable: The stub refuses.")


async def test_an_unreachable_platform_is_reported_and_tried_again_on_the_next_call() -> None:
    async with connected("--url", NOWHERE) as client:
        for _ in range(2):
            result = await client.call_tool("fetch", {"id": "1"})
            assert result.is_error
            assert f"GET {NOWHERE}/api/v1/conversations failed (ConnectError" in text_of(result)
            assert "--url or MH_URL" in text_of(result)


@pytest.mark.slow
async def test_the_credential_of_mh_is_sent(guarded: StubAccess, tmp_path: Path) -> None:
    ann = guarded.add_user("ann", Role.COUNSELOR)
    search = [Scope.SEARCH, Scope.CONVERSATIONS_READ]
    file = tmp_path / "config" / "mental-health" / "credentials.json"
    file.parent.mkdir(parents=True)
    entry = {"token": guarded.add_session(ann), "kind": "session", "username": "ann"}
    file.write_text(json.dumps({"platforms": {guarded.base_url: entry}}))
    file.chmod(0o600)
    async with connected() as client:
        assert not (await client.call_tool("search", {"query": "sleep"})).is_error
    async with connected(MH_API_KEY=guarded.add_key(ann, search)) as client:
        assert not (await client.call_tool("search", {"query": "sleep"})).is_error
    async with connected(MH_API_KEY=guarded.add_key(ann, [Scope.HISTORY_OWN])) as client:
        refused = await client.call_tool("search", {"query": "sleep"})
    assert refused.is_error
    assert "This needs the scope search" in text_of(refused)


async def test_a_stranger_is_told_how_to_sign_in(guarded: StubAccess) -> None:
    async with connected() as client:
        refused = await client.call_tool("search", {"query": "sleep"})
    assert refused.is_error
    assert text_of(refused).endswith("has `mh login`. After that, the MCP client must start `mh mcp` again.")


async def test_concurrent_calls_get_their_own_results(stub: StubPlatform) -> None:
    async with connected("--url", stub.base_url) as client:
        queries = ["nothing", "sleep"] * 10
        results = await asyncio.gather(*(client.call_tool("search", {"query": query}) for query in queries))
    assert [len(one.structured_content["results"]) for one in results] == [0, 1] * 10


@pytest.mark.parametrize("end", ["input ends", "interrupt"])
def test_it_stops_with_its_client_and_prints_nothing_else(stub: StubPlatform, end: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    call["params"] = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    command = [sys.executable, *ARGUMENTS, "--url", stub.base_url, "mcp"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(call) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["protocolVersion"] == "2025-06-18"
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            process.stdin.close()
        assert process.wait(30) == (-signal.SIGINT if end == "interrupt" else 0)
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert process.stderr.read() == ""


def refused(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_without_the_extra_it_prints_how_to_install_it() -> None:
    program = "import sys; sys.modules['mcp'] = None; from mh_client.cli import main; main()"
    [line] = refused(program, "mcp").splitlines()
    assert line.endswith(" is not installed; install it with: pip install 'mh-client[cli,mcp]'")


def test_an_invalid_url_is_rejected_at_startup() -> None:
    assert "base_url: must look like http://host:8080" in refused(
        "from mh_client.cli import main; main()", "mcp", "--url", "ftp://x"
    )
