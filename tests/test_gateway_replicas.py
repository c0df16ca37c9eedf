"""The gateway with replicas that are down, drop connections or are slow, and with clients that send too much."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from mh_devtools import servers
from mh_devtools.servers import nginx
from mh_devtools.stack import environment
from mh_devtools.stubs.echo_server import EchoServer, break_off
from mh_devtools.testing.responses import assert_problem

pytestmark = pytest.mark.skipif(not nginx.find_nginx() and os.environ.get("CI") != "true", reason=nginx.MISSING)

UNLIMITED = {
    "GATEWAY_RATE": "10000r/s",
    "GATEWAY_BURST": "10000",
    "GATEWAY_ANSWERS_RATE": "10000r/s",
    "GATEWAY_ANSWERS_BURST": "10000",
}


@contextmanager
def gateway(folder: Path, *ports: int, **rates: str) -> Iterator[httpx.Client]:
    """Run a gateway with one replica at each port; yield a client for it."""
    # max_fails=0: which replica is asked does not depend on what happened before.
    replicas = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
    values = {**UNLIMITED, **rates, "CONVERSATIONS_UPSTREAM": replicas, "RAG_UPSTREAM": replicas}
    port = servers.free_port()
    server = nginx.start_nginx(folder, port, values)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture
def sound() -> Iterator[EchoServer]:
    with EchoServer.running("sound") as server:
        yield server


@pytest.fixture
def dying() -> Iterator[EchoServer]:
    """A replica that reads each request and then drops the connection."""
    with EchoServer.running("dying") as server:
        server.answer = break_off
        yield server


def test_an_unreachable_service_is_a_problem_and_the_documentation_still_stands(tmp_path: Path) -> None:
    with gateway(tmp_path, servers.free_port()) as client:
        for path in ("/api/v1/conversations/1", "/readyz"):
            response = client.get(path)
            assert_problem(response, 502)
            assert response.headers["Retry-After"] == "1"
        assert client.get("/docs").status_code == 200


def test_a_service_that_does_not_answer_in_time_is_a_504(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(2):  # fill its queue, so that nobody else gets a connection
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        client = stack.enter_context(gateway(tmp_path, full.getsockname()[1]))
        assert_problem(client.get("/api/v1/conversations"), 504)


def test_a_replica_that_is_gone_costs_no_request(tmp_path: Path, sound: EchoServer) -> None:
    with gateway(tmp_path, servers.free_port(), sound.server_port) as client:
        for _ in range(6):
            assert client.get("/readyz").status_code == 200
            assert client.post("/api/v1/conversations", json={}).status_code == 200
    assert len(sound.seen) == 12


def test_safe_requests_move_on_when_a_replica_breaks_off(tmp_path: Path, sound: EchoServer, dying: EchoServer) -> None:
    with gateway(tmp_path, dying.server_port, sound.server_port) as client:
        for method in ("GET", "PUT", "DELETE"):
            for number in range(6):
                response = client.request(method, f"/api/v1/conversations/{number}")
                assert response.json()["upstream"] == "sound"
    assert dying.seen
    assert len(sound.seen) == 18


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_a_post_that_was_sent_is_never_sent_again(
    tmp_path: Path, sound: EchoServer, dying: EchoServer, method: str, headers: dict[str, str]
) -> None:
    with gateway(tmp_path, dying.server_port, sound.server_port) as client:
        paths = [f"/api/v1/conversations/{number}" for number in range(8)]
        answers = [client.request(method, path, json={}, headers=headers) for path in paths]
    for answer in answers:
        if answer.status_code != 200:
            assert_problem(answer, 502)
    assert sorted(seen.target for seen in (*sound.seen, *dying.seen)) == paths
    assert dying.seen
    assert len(sound.seen) == sum(answer.status_code == 200 for answer in answers)


def test_one_client_that_asks_too_much_is_refused_and_others_are_not(tmp_path: Path, sound: EchoServer) -> None:
    with gateway(tmp_path, sound.server_port, GATEWAY_RATE="1r/m", GATEWAY_BURST="2") as client:
        accepted = [client.get("/api/v1/conversations").status_code for _ in range(3)]
        refused = client.get("/api/v1/conversations")
        other = client.get("/api/v1/conversations", headers={"X-Forwarded-For": "198.51.100.1, 192.0.2.7"})
        probes = [client.get(path).status_code for path in ("/readyz", "/rag-api/livez", "/healthcheck", "/api/health")]
    assert accepted == [200, 200, 200]
    assert_problem(refused, 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert other.status_code == 200
    assert sound.seen[3].headers["x-forwarded-for"] == "192.0.2.7"
    assert probes == [200] * 4


@pytest.mark.parametrize(("trusted", "scheme"), [("127.0.0.1", "https"), ("10.0.0.0/8", "http")])
def test_only_a_trusted_proxy_says_that_the_browser_came_by_https(
    tmp_path: Path, sound: EchoServer, trusted: str, scheme: str
) -> None:
    with gateway(tmp_path, sound.server_port, GATEWAY_TRUSTED_PROXY=trusted) as client:
        for given in ({"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "gopher"}, {}):
            client.get("/api/v1/sessions", headers=given)
    assert [seen.headers["x-forwarded-proto"] for seen in sound.seen] == [scheme, "http", "http"]


def test_questions_are_limited_more_tightly_than_the_rest(tmp_path: Path, sound: EchoServer) -> None:
    with gateway(tmp_path, sound.server_port, GATEWAY_ANSWERS_RATE="1r/m", GATEWAY_ANSWERS_BURST="1") as client:
        asked = [client.post("/api/v1/answers", json={}) for _ in range(3)]
        by_other_doors = [client.post(path, json={}) for path in ("/v1/chat/completions", "/rag-api/api/chat")]
        free = [client.post(path, json={}) for path in ("/api/v1/search", "/search", "/retrieval", "/mcp")]
        free.append(client.get("/v1/models"))
    assert [answer.status_code for answer in asked] == [200, 200, 429]
    for answer in (asked[2], *by_other_doors):
        assert_problem(answer, 429)
        assert int(answer.headers["Retry-After"]) >= 1
    assert [answer.status_code for answer in free] == [200] * 5


def test_neither_the_page_nor_an_importer_meets_the_default_rates(tmp_path: Path, sound: EchoServer) -> None:
    defaults = {name: value for name, value in environment.read("gateway").items() if "RATE" in name or "BURST" in name}
    with gateway(tmp_path, sound.server_port, **defaults) as client:
        # Ten times what the importer sends for 10,000 rows at once, then a counselor who asks without a pause.
        written = [client.post("/api/v1/conversations/bulk", json={}).status_code for _ in range(200)]
        asked = [client.post("/api/v1/answers", json={}).status_code for _ in range(10)]
    assert {*written, *asked} == {200}
