"""Run a server in its own network namespace, and forward one loopback port of this machine to it.

For servers that always listen on every address, and on ports that others may use:
`python private_network.py PORT INNER_PORT READY_URL COMMAND...`. PORT accepts connections once READY_URL returns 200
inside the namespace. Linux only, where `unshare` may create a network (as root, or in a user namespace).
"""

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence

UNSHARE = ("unshare", "--map-root-user", "--net")
WITHIN = "within"
"""First argument of this program when it runs in the new namespace."""
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def unavailable_reason() -> str | None:
    """Return why a network namespace cannot be created here, in one line; None if it can."""
    try:
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no unshare (Debian, Ubuntu: apt-get install util-linux)"
    return None if done.returncode == 0 else f"users may not create network namespaces here ({done.stderr.strip()})"


def enter(port: int, arguments: Sequence[str]) -> None:
    """Re-execute this program in a new network namespace with an inherited socket, which stays in the old one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    os.set_inheritable(listener.fileno(), True)
    os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, __file__, WITHIN, str(listener.fileno()), *arguments])  # noqa: S606 - no shell is wanted


def run(listener: socket.socket, inner_port: int, ready_url: str, command: Sequence[str]) -> int:
    """Run the server and forward connections to it until it exits; return its exit code."""
    _raise_loopback()
    server = subprocess.Popen(command)
    while not _answers(ready_url):
        if (code := server.poll()) is not None:
            return code
        time.sleep(0.1)
    asyncio.run(_forward(listener, inner_port, server))
    return server.wait()


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - the caller's own server
            return bool(response.status == 200)
    except OSError:
        return False


async def _forward(listener: socket.socket, inner_port: int, server: subprocess.Popen[bytes]) -> None:
    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    async with await asyncio.start_server(lead, sock=listener):
        await asyncio.to_thread(server.wait)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one side has disconnected, so disconnect the other
    finally:
        writer.close()


def main() -> None:
    """Enter the namespace, then run the server."""
    first, *arguments = sys.argv[1:]
    if first != WITHIN:
        enter(int(first), arguments)
    descriptor, inner_port, ready_url, *command = arguments
    sys.exit(run(socket.socket(fileno=int(descriptor)), int(inner_port), ready_url, command))


if __name__ == "__main__":
    main()
