"""An HTTP/1.1 server that records the requests it receives: an upstream for tests of the gateway."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True)
class RecordedRequest:
    """A received request; header names in lower case, `length` of the body in bytes."""

    method: str
    target: str
    headers: dict[str, str]
    length: int


class EchoServer(ThreadingHTTPServer):
    """Responds with {"upstream": its name, "target": path and query}, or calls `answer` if that is set.

    Attributes:
        seen: the requests in the order of arrival.
        connections: how many connections were opened.
    """

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.seen: list[RecordedRequest] = []
        self.connections = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None

    @classmethod
    @contextmanager
    def running(cls, name: str) -> Iterator[Self]:
        """Serve on a free loopback port (`server_port`) during the block."""
        with cls(name) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EchoServer

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def serve(self) -> None:
        length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(RecordedRequest(self.command, self.path, headers, length))
        if self.server.answer:
            self.server.answer(self)
        else:
            send_json(self, 200, {"upstream": self.server.name, "target": self.path})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - the base class looks for these names

    def log_message(self, *_: object) -> None:
        """Print nothing, to keep the test output clean."""


def send_json(handler: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
    """Send `body` as JSON; an underscore in a header's name stands for a hyphen."""
    content = json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content_Type": "application/json", "Content_Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def break_off(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection after reading the request, as a crashing process does."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
