"""A load generator light enough to share two cores with the server it measures: keep-alive requests over asyncio."""

import asyncio
import time
from collections.abc import Iterator


def send(method: str, path: str, body: str, key: str | None = None) -> bytes:
    """Return the bytes of a request with a JSON body, and with an API key if there is one."""
    content = body.encode()
    headers = f"{_headers(key)}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return f"{method} {path} HTTP/1.1\r\n{headers}".encode() + content


def get(path: str, key: str | None = None) -> bytes:
    """Return the bytes of a GET request, with an API key if there is one."""
    return f"GET {path} HTTP/1.1\r\n{_headers(key)}\r\n".encode()


def _headers(key: str | None) -> str:
    return "Host: 127.0.0.1\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")


class Connection:
    """A keep-alive connection to a loopback port, opened by the first request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of the response.

        Raises:
            RuntimeError: the response is not a success; the message contains its status line.
            OSError, EOFError: the server cannot be reached or closed the connection.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            # A 204 response has no body.
            body = await reader.readexactly(int(next(lengths, b":0").split(b":")[1]))
        except (OSError, EOFError):
            # The connection is lost: the next request opens a new one.
            self._streams = None
            raise
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{request.splitlines()[0].decode()}: {head.splitlines()[0].decode()}")
        return body

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()


async def _client(port: int, requests: Iterator[bytes], deadline: float) -> list[float]:
    connection, taken = Connection(port), list[float]()
    while (started := time.perf_counter()) < deadline:
        await connection.ask(next(requests))
        taken.append(time.perf_counter() - started)
    await connection.close()
    return taken


async def _clients(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> list[float]:
    deadline = time.perf_counter() + seconds
    each = [_client(port, requests, deadline) for _ in range(clients)]
    return [seconds for one in await asyncio.gather(*each) for seconds in one]


def requests_per_second(requests: Iterator[bytes], port: int, clients: int, seconds: float) -> float:
    """Return how many of these requests per second the server on this port answers. Raises RuntimeError for errors."""
    return answered(requests, port, clients, seconds) / seconds


def answered(requests: Iterator[bytes], port: int, clients: int, seconds: float) -> int:
    """Return how many of these requests the server on this port answers. Raises RuntimeError for errors."""
    return len(latencies(requests, port, clients, seconds))


def latencies(requests: Iterator[bytes], port: int, clients: int, seconds: float) -> list[float]:
    """Return the seconds that each of these requests takes until its response is complete.

    Each free client takes the next request; the next call continues where this one stopped. There must be enough
    requests. Raises RuntimeError if a response is an error.
    """
    return asyncio.run(_clients(port, requests, clients, seconds))
