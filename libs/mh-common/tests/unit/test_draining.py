"""Stopping a replica loses no requests, neither accepted nor arriving ones."""

import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from mh_common.web.draining import LISTENER_NOT_DRAINED, admit_connections, refuse_connections
from mh_devtools import servers
from mh_devtools.testing.waiting import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="draining without loss needs Linux")

APPLICATION = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        open("under-way", "w").close()
        await asyncio.sleep(4)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@dataclass
class Replica:
    """Gunicorn with two draining workers."""

    process: subprocess.Popen[bytes]
    port: int

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def client(self) -> httpx.Client:
        """A client with one keep-alive connection."""
        limits = httpx.Limits(max_connections=1, keepalive_expiry=60)
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", limits=limits, timeout=20)


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    (tmp_path / "application.py").write_text(APPLICATION)
    port = servers.free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "mh_common.web.draining.DrainingWorker"]
    command += ["--workers", "2", "--bind", f"127.0.0.1:{port}", "--keep-alive", "60", "--no-control-socket"]
    process = subprocess.Popen([*command, "--log-level", "error", "application:app"], cwd=tmp_path)
    running = Replica(process, port)
    try:
        wait_until(lambda: not _refused(port))
        yield running
    finally:
        process.kill()
        process.wait()


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_responses_announce_the_end_of_the_connection_and_idle_ones_are_served_until_then(replica: Replica) -> None:
    with replica.client() as kept, replica.client() as idle:
        for client in (kept, idle):
            assert "Connection" not in client.get("/").headers
        replica.terminate()

        # Not immediately: the signal is asynchronous.
        wait_until(lambda: kept.get("/").headers.get("Connection") == "close")

        wait_until(lambda: _refused(replica.port))
        assert idle.get("/").headers["Connection"] == "close"
    assert replica.process.wait(60) == 0


def test_running_requests_may_finish(replica: Replica, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool, replica.client() as client:
        slow = pool.submit(client.get, "/slow")
        wait_until((tmp_path / "under-way").exists)
        replica.terminate()
        assert slow.result().text == "ok"
    assert replica.process.wait(60) == 0


def ask(port: int) -> str:
    """Return the response to a request on a new connection, or the error."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n")
            answer = connection.makefile("rb").read()
        except OSError as error:
            return type(error).__name__
    return answer.partition(b"\r\n\r\n")[2].decode()


def test_a_replica_stopped_during_startup_exits_at_once(replica: Replica) -> None:
    # The listener is open before the worker processes start.
    replica.terminate()
    assert replica.process.wait(60) == 0


def test_every_accepted_connection_gets_a_response(replica: Replica) -> None:
    outcomes: Counter[str] = Counter()

    def ask_until_refused() -> None:
        with suppress(ConnectionRefusedError):
            while True:
                outcomes[ask(replica.port)] += 1

    clients = [threading.Thread(target=ask_until_refused) for _ in range(20)]
    for client in clients:
        client.start()
    wait_until(lambda: outcomes["ok"] > 100)
    replica.terminate()
    for client in clients:
        client.join()

    assert set(outcomes) == {"ok"}
    assert replica.process.wait(60) == 0


def test_a_reload_keeps_the_listener_and_loses_no_requests(replica: Replica) -> None:
    outcomes: Counter[str] = Counter()
    over = threading.Event()

    def ask_until_over() -> None:
        while not over.is_set():
            outcomes[ask(replica.port)] += 1

    master = psutil.Process(replica.process.pid)
    wait_until(lambda: len(master.children()) == 2)
    before = {worker.pid for worker in master.children()}
    clients = [threading.Thread(target=ask_until_over) for _ in range(10)]
    for client in clients:
        client.start()
    wait_until(lambda: outcomes["ok"])
    replica.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(master.children()) == 2 and not before & {worker.pid for worker in master.children()})
    renewed = outcomes["ok"]
    wait_until(lambda: outcomes["ok"] > renewed + 100)
    over.set()
    for client in clients:
        client.join()

    assert set(outcomes) == {"ok"}


def test_a_draining_listener_still_accepts_established_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        early = socket.create_connection(listener.getsockname())
        refuse_connections(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.2)
        accepted, _ = listener.accept()
        early.sendall(b"still here")
        assert accepted.recv(10) == b"still here"
        early.close()
        accepted.close()
        for _ in range(2):
            admit_connections(listener)
        socket.create_connection(listener.getsockname(), timeout=5).close()


def test_a_kernel_without_socket_filters_is_tolerated(caplog: pytest.LogCaptureFixture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    # The kernel accepts no options for a closed socket.
    listener.close()
    refuse_connections(listener)
    assert LISTENER_NOT_DRAINED in caplog.text
