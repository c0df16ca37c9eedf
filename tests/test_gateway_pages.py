"""The gateway's own responses, without services behind it: its pages and errors."""

import os
import socket
from collections.abc import Iterator

import httpx
import pytest
from mh_common.models import Problem
from mh_devtools import servers
from mh_devtools.embedded import local_gateway
from mh_devtools.servers import nginx
from mh_devtools.stack import environment

pytestmark = pytest.mark.skipif(not nginx.find_nginx() and os.environ.get("CI") != "true", reason=nginx.MISSING)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Client of a gateway without services."""
    port, nobody = servers.free_port(), f"server 127.0.0.1:{servers.free_port()};"
    values = {**environment.read("gateway"), "CONVERSATIONS_UPSTREAM": nobody, "RAG_UPSTREAM": nobody}
    server = nginx.start_nginx(tmp_path_factory.mktemp("nginx"), port, values)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    server.stop()


@pytest.mark.parametrize("path", local_gateway.PAGES)
def test_the_pages_are_the_embedded_gateways(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.text == local_gateway.PAGES[path].read_text(encoding="utf-8")
    kind = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}[local_gateway.PAGES[path].suffix]
    assert response.headers["Content-Type"].startswith(kind)
    policy = response.headers.get("Content-Security-Policy")
    assert policy == (local_gateway.POLICY if path == "/" else None)


def test_the_pages_carry_a_request_id(client: httpx.Client) -> None:
    for path in local_gateway.PAGES:
        assert client.get(path, headers={"X-Request-ID": "mine"}).headers.get_list("X-Request-ID") == ["mine"]


@pytest.mark.parametrize(
    ("request_line", "header", "status"),
    [
        ("NO SENSE AT ALL", "", 400),
        ("GET / HTTP/1.1", "X-Long: " + "x" * 40_000, 431),
        ("POST / HTTP/1.1", "Transfer-Encoding: gzip", 501),
        ("GET / HTTP/3.0", "", 505),
        ("GET /docs HTTP/1.1", "Range: bytes=999999-", 416),
        ("GET /docs HTTP/1.1", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:01 GMT", 412),
        ("POST /docs HTTP/1.1", "Content-Length: 0", 405),
        ("GET /_problem HTTP/1.1", "", 404),
        ("GET /api/v1/conversations HTTP/1.1", "", 502),
    ],
)
def test_what_the_gateway_itself_refuses_is_a_problem(
    client: httpx.Client, request_line: str, header: str, status: int
) -> None:
    lines = [request_line, "Host: gateway", "Connection: close", *([header] if header else []), "", ""]
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    status_line, *fields = head.decode().split("\r\n")
    assert int(status_line.split()[1]) == status
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(body)
    assert (problem.status, problem.request_id) == (status, headers["x-request-id"])
    assert problem.title
    assert problem.detail
