"""A load generator light enough to share two cores with the server it measures: keep-alive GETs over asyncio."""

import asyncio
import time
from collections.abc import Sequence


async def _client(port: int, paths: Sequence[str], deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while time.perf_counter() < deadline:
        path = paths[done % len(paths)]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {head.splitlines()[0].decode()}")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        done += 1
    writer.close()
    await writer.wait_closed()
    return done


async def _clients(port: int, paths: Sequence[str], clients: int, seconds: float) -> int:
    deadline = time.perf_counter() + seconds
    each = [_client(port, paths[number:] or paths, deadline) for number in range(clients)]
    return sum(await asyncio.gather(*each))


def requests_per_second(port: int, paths: Sequence[str], clients: int, seconds: float) -> float:
    """Return how many of these GETs a second the server on this port answers with 200. Raises RuntimeError."""
    return asyncio.run(_clients(port, paths, clients, seconds)) / seconds
