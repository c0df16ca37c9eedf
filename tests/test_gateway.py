"""The gateway's nginx configuration, run by a real nginx in front of real HTTP servers: where requests go, and how."""

import http.client
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_devtools import servers
from mh_devtools.embedded import local_gateway
from mh_devtools.servers import nginx
from mh_devtools.stubs.echo_server import EchoServer, break_off, send_json
from mh_devtools.testing.responses import assert_problem
from mh_devtools.testing.waiting import wait_until

pytestmark = pytest.mark.skipif(not nginx.find_nginx() and os.environ.get("CI") != "true", reason=nginx.MISSING)

PROBLEM = "application/problem+json"
REQUEST_ID = re.compile(r"[0-9a-f]{32}")
RATES = ("GATEWAY_RATE", "GATEWAY_ANSWERS_RATE")
BURSTS = ("GATEWAY_BURST", "GATEWAY_ANSWERS_BURST")


@dataclass
class Gateway:
    """A gateway with its two upstreams."""

    client: httpx.Client
    services_url: str
    log: Path
    conversations: EchoServer
    rag: EchoServer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder, port, services_port = tmp_path_factory.mktemp("nginx"), servers.free_port(), servers.free_port()
    with ExitStack() as stack:
        conversations = stack.enter_context(EchoServer.running(local_gateway.CONVERSATIONS))
        rag = stack.enter_context(EchoServer.running(local_gateway.RAG))
        values = {
            "GATEWAY_SERVICES_LISTEN": f"127.0.0.1:{services_port}",
            "CONVERSATIONS_UPSTREAM": f"server 127.0.0.1:{conversations.server_port};",
            "RAG_UPSTREAM": f"server 127.0.0.1:{rag.server_port};",
            **dict.fromkeys(RATES, "10000r/s"),
            **dict.fromkeys(BURSTS, "10000"),
        }
        stack.callback(nginx.start_nginx(folder, port, values).stop)
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))
        yield Gateway(client, f"http://127.0.0.1:{services_port}", folder / "nginx.log", conversations, rag)


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The module's gateway, with its echo upstreams reset."""
    for server in (running.conversations, running.rag):
        server.seen.clear()
        server.answer = None
    return running


PREFIXES = [*local_gateway.ROUTES, "/conversations-api", "/rag-api"]
SUFFIXES = [
    "",
    "/",
    "/1",
    "/1/similar",
    "/x/similar",
    "/1/similar/2",
    "/bulk",
    "/export",
    "/stats",
    "/a/b",
    "x",
    "-more",
    "/openapi.json",
    "/metrics",
    "/internal/index/reports",
]
# Every word in a path of either gateway.
WORDS = sorted(
    {word for path in PREFIXES for word in path.split("/")[1:]}
    | {
        word
        for line in re.findall(r"location ~ (.*) {", (nginx.FOLDER / "nginx.conf.template").read_text(encoding="utf-8"))
        for word in re.findall(r"[a-z][a-z0-9-]+", line)
    }
    | {"7", "v2", "metrics", "internal"}
)


def assert_same_route(gateway: Gateway, path: str) -> None:
    response = gateway.client.get(path, params={"q": "a b&c"})
    target = local_gateway.route_for(path)
    if path in local_gateway.PAGES:
        assert response.text == local_gateway.PAGES[path].read_text(encoding="utf-8")
        return
    if target is None:
        assert_problem(response, 404)
        return
    name, removed = target
    assert response.json() == {"upstream": name, "target": (path.removeprefix(removed) or "/") + "?q=a+b%26c"}


@pytest.mark.parametrize("path", [prefix + suffix for prefix, suffix in itertools.product(PREFIXES, SUFFIXES)])
def test_routes_are_those_of_the_embedded_gateway(gateway: Gateway, path: str) -> None:
    assert_same_route(gateway, path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
def test_any_path_takes_the_embedded_gateways_route(gateway: Gateway, segments: list[str]) -> None:
    assert_same_route(gateway, "/" + "/".join(segments))


@pytest.mark.parametrize("name", [local_gateway.CONVERSATIONS, local_gateway.RAG])
def test_an_apis_own_page_finds_its_document_behind_the_prefix(gateway: Gateway, name: str) -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        send_json(handler, 200, "SwaggerUIBundle({url: '/openapi.json'})", Content_Type="text/html; charset=utf-8")

    server = gateway.conversations if name == local_gateway.CONVERSATIONS else gateway.rag
    server.answer = page
    assert f"url: '/{name}/openapi.json'" in gateway.client.get(f"/{name}/docs").text
    assert server.seen[-1].target == "/docs"


@pytest.mark.parametrize("prefix", ["", "/conversations-api"])
@pytest.mark.parametrize(
    ("method", "path", "megabytes"),
    [
        ("POST", "/api/v1/conversations/bulk", 64),
        ("POST", "/api/v1/conversations", 16),
        ("PUT", "/api/v1/conversations/12", 16),
        ("POST", "/api/v1/conversations/bulk-delete", 1),
    ],
)
def test_a_body_up_to_the_limit_passes_and_no_larger(
    gateway: Gateway, prefix: str, method: str, path: str, megabytes: int
) -> None:
    limit = megabytes * 1024 * 1024
    assert gateway.client.request(method, prefix + path, content=b"x" * limit).status_code == 200
    assert gateway.conversations.seen[-1].length == limit
    problem = assert_problem(declare(gateway, method, prefix + path, limit + 1), 413)
    assert "64 MB" in problem["detail"]
    assert len(gateway.conversations.seen) == 1


@pytest.mark.parametrize(
    "path", ["/api/v1/answers", "/api/v1/search", "/rag-api/api/v1/answers", "/v1/chat/completions", "/mcp"]
)
def test_questions_are_limited_to_a_megabyte(gateway: Gateway, path: str) -> None:
    assert gateway.client.post(path, content=b"x" * 1024 * 1024).status_code == 200
    assert_problem(declare(gateway, "POST", path, 1024 * 1024 + 1), 413)


def declare(gateway: Gateway, method: str, path: str, length: int) -> httpx.Response:
    """Announce a body without sending it, since sending would race with the rejection."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.client.base_url.port, timeout=20)
    connection.putrequest(method, path)
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    response = connection.getresponse()
    answer = httpx.Response(response.status, headers=response.getheaders(), content=response.read())
    connection.close()
    return answer


def test_a_callers_request_id_and_trace_context_are_passed_on(gateway: Gateway) -> None:
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "vendor=1"}
    response = gateway.client.get("/api/v1/conversations", headers={"X-Request-ID": "ward-3.A_1", **trace})
    assert response.headers.get_list("X-Request-ID") == ["ward-3.A_1"]
    seen = gateway.conversations.seen[-1].headers
    assert seen["x-request-id"] == "ward-3.A_1"
    assert {name: seen[name] for name in trace} == trace


@pytest.mark.parametrize("given", [None, "", 'a" or b', "x" * 129])
def test_a_missing_or_harmful_request_id_is_replaced(gateway: Gateway, given: str | None) -> None:
    response = gateway.client.get("/readyz", headers={} if given is None else {"X-Request-ID": given})
    assert REQUEST_ID.fullmatch(response.headers["X-Request-ID"])
    assert gateway.rag.seen[-1].headers["x-request-id"] == response.headers["X-Request-ID"]


def test_an_upstreams_own_error_and_headers_pass_unchanged(gateway: Gateway) -> None:
    gateway.conversations.answer = lambda handler: send_json(
        handler, 503, {"title": "ours"}, Content_Type=PROBLEM, Retry_After="7", X_Request_ID="from-the-api"
    )
    response = gateway.client.get("/api/v1/conversations", headers={"X-Request-ID": "mine"})
    assert (response.status_code, response.json()) == (503, {"title": "ours"})
    assert response.headers.get_list("Retry-After") == ["7"]
    assert response.headers.get_list("X-Request-ID") == ["mine"]


def test_large_json_is_compressed_and_a_weakened_etag_still_works_in_if_match(gateway: Gateway) -> None:
    gateway.conversations.answer = lambda handler: send_json(handler, 200, "text " * 1000, ETag='"3"')
    response = gateway.client.get("/api/v1/conversations/1", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.json() == "text " * 1000
    gateway.client.put("/api/v1/conversations/1", headers={"If-Match": response.headers["ETag"]})
    assert gateway.conversations.seen[-1].headers["if-match"] == '"3"'
    gateway.client.put("/api/v1/conversations/1", headers={"If-Match": "*"})
    assert gateway.conversations.seen[-1].headers["if-match"] == "*"


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain; charset=utf-8"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/answers", "/v1/chat/completions", "/api/chat", "/mcp"),
        *("/rag-api/api/v1/answers", "/rag-api/v1/chat/completions", "/rag-api/api/chat", "/rag-api/mcp"),
    ],
)
def test_an_answer_is_streamed_as_it_comes(gateway: Gateway, path: str, kind: str) -> None:
    arrived = threading.Semaphore(0)

    def events(handler: BaseHTTPRequestHandler) -> None:
        # The response ends with the connection, a framing for which nginx would wait until its buffer is full.
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Connection", "close")
        handler.end_headers()
        in_time = True
        for number in range(4):
            handler.wfile.write(b"data: %d\n\n" % number if in_time else b"data: late\n\n")
            # If the gateway delays an event, the client cannot acknowledge it.
            in_time = arrived.acquire(timeout=20)

    gateway.rag.answer = events
    received = []
    with gateway.client.stream("POST", path, json={}, headers={"Accept-Encoding": "gzip"}) as response:
        assert "Content-Encoding" not in response.headers
        for chunk in response.iter_bytes():
            received.append(chunk)
            arrived.release()
    assert received == [b"data: %d\n\n" % number for number in range(4)]


def test_connections_to_an_upstream_are_kept(gateway: Gateway) -> None:
    before = gateway.rag.connections
    for _ in range(40):
        gateway.client.get("/readyz")
    # At most one per nginx process, if none had been open.
    assert gateway.rag.connections - before <= (os.cpu_count() or 1)


def test_no_log_holds_what_users_search_for(gateway: Gateway) -> None:
    gateway.conversations.answer = break_off
    path = "/api/v1/conversations?q=sleepless-and-sad"
    request_id = assert_problem(gateway.client.get(path), 502)["request_id"]

    entry = access_log_entry(gateway.log, request_id)
    assert (entry["path"], entry["status"]) == ("/api/v1/conversations", 502)
    assert entry["upstream_status"].startswith("502")
    assert "sleepless" not in gateway.log.read_text()


def access_log_entry(log: Path, request_id: str) -> dict[str, Any]:
    """Return a request's log line, which nginx writes after the response."""

    def lines() -> list[str]:
        whole = log.read_text().rpartition("\n")[0]
        return [line for line in whole.splitlines() if request_id in line]

    wait_until(lines, what=f"a line with {request_id} is in the log")
    entry: dict[str, Any] = json.loads(lines()[0])
    return entry


@pytest.mark.parametrize(
    "path",
    [
        "/conversations-api/internal/index/reports",
        "/conversations-api/%69nternal/index/reports",
        "/conversations-api//internal/index/reports",
        "/conversations-api/x/../internal/index/reports",
        "/conversations-api/./internal",
        "/internal/index/reports",
        "/rag-api/internal/history",
    ],
)
def test_nobody_outside_reaches_what_is_internal(gateway: Gateway, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.client.base_url.port, timeout=20)
    # httpx would tidy the path up.
    connection.request("POST", path, body=b"{}")
    assert connection.getresponse().status == 404
    connection.close()
    assert gateway.conversations.seen == gateway.rag.seen == []


def test_our_own_services_reach_the_conversations_and_nothing_else(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.services_url, timeout=60) as services:
        assert services.get("/api/v1/conversations?ids=1").json()["upstream"] == local_gateway.CONVERSATIONS
        assert services.post("/internal/index/reports", json={}).json()["upstream"] == local_gateway.CONVERSATIONS
        assert services.get("/").json() == {"upstream": local_gateway.CONVERSATIONS, "target": "/"}
