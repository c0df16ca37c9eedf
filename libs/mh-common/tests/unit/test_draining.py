"""A replica that ends: nobody who reached it, or is about to, loses a request."""

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
        """A client with one connection, which it keeps until it is told that it is over."""
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


def test_answers_say_when_their_connection_is_over_and_an_idle_one_is_served_until_then(replica: Replica) -> None:
    with replica.client() as kept, replica.client() as idle:
        for client in (kept, idle):
            assert "Connection" not in client.get("/").headers
        replica.terminate()

        # Not at once: a signal takes its time.
        wait_until(lambda: kept.get("/").headers.get("Connection") == "close")

        wait_until(lambda: _refused(replica.port))
        assert idle.get("/").headers["Connection"] == "close"
    assert replica.process.wait(60) == 0


def test_what_runs_may_end(replica: Replica, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool, replica.client() as client:
        slow = pool.submit(client.get, "/slow")
        wait_until((tmp_path / "under-way").exists)
        replica.terminate()
        assert slow.result().text == "ok"
    assert replica.process.wait(60) == 0


def ask(port: int) -> str:
    """Return the answer to a request on a connection of its own, or what came in its place."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n")
            answer = connection.makefile("rb").read()
        except OSError as error:
            return type(error).__name__
    return answer.partition(b"\r\n\r\n")[2].decode()


def test_a_replica_that_is_ended_while_it_starts_does_not_linger(replica: Replica) -> None:
    # The listener is there before the processes are.
    replica.terminate()
    assert replica.process.wait(60) == 0


def test_nobody_who_gets_a_connection_stays_without_an_answer(replica: Replica) -> None:
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


def test_a_reload_goes_on_with_the_listener_and_loses_nobody(replica: Replica) -> None:
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


def test_a_listener_that_refuses_still_accepts_who_was_there_before() -> None:
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


def test_a_kernel_that_offers_no_filter_is_no_reason_to_fail(caplog: pytest.LogCaptureFixture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    # Of a closed one the kernel takes nothing at all.
    listener.close()
    refuse_connections(listener)
    assert LISTENER_NOT_DRAINED in caplog.text
