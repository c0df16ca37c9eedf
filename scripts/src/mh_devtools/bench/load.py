"""A load generator light enough to share two cores with the server it measures: keep-alive requests over asyncio."""

import asyncio
import time
from collections.abc import Iterator


def send(method: str, path: str, body: str) -> bytes:
    """Return a request with a body of JSON as it goes over the wire."""
    content = body.encode()
    headers = f"Host: bench\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return f"{method} {path} HTTP/1.1\r\n{headers}".encode() + content


def get(path: str) -> bytes:
    """Return a GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


class Connection:
    """One connection to a loopback port, kept for all that is asked over it; opened by the first."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer.

        Raises:
            RuntimeError: the answer is no success; the message has its status line.
            OSError, EOFError: the server cannot be reached, or hung up.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            # A 204 has none.
            body = await reader.readexactly(int(next(lengths, b":0").split(b":")[1]))
        except (OSError, EOFError):
            # Lost: the next request takes a new one.
            self._streams = None
            raise
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{request.splitlines()[0].decode()}: {head.splitlines()[0].decode()}")
        return body

    async def close(self) -> None:
        """Hang up."""
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
    """Return how many of these requests a second the server on this port answers with success. Raises RuntimeError."""
    return answered(requests, port, clients, seconds) / seconds


def answered(requests: Iterator[bytes], port: int, clients: int, seconds: float) -> int:
    """Return how many of these requests the server on this port answers with success. Raises RuntimeError."""
    return len(latencies(requests, port, clients, seconds))


def latencies(requests: Iterator[bytes], port: int, clients: int, seconds: float) -> list[float]:
    """Return the seconds that each of these requests takes until its whole answer is there.

    They are taken one after the other by whichever client is free, and the next call goes on where this one stopped.
    There must be enough of them. Raises RuntimeError.
    """
    return asyncio.run(_clients(port, requests, clients, seconds))
