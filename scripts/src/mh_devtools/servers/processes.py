"""Start and stop local processes, and find ports for them. They listen on loopback only."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 30.0
"""Seconds to wait for a server to accept connections."""
PORTS = range(20_000, 32_000)
"""Ports for private servers, below the kernel's range for outgoing connections."""
STOP_TIMEOUT = 20.0
"""Seconds to wait for a process to exit after SIGTERM."""

WORKER_PROCESSES = 2
"""One embeds while the other writes to the index."""
WORKER_THREADS = str(max(1, (os.cpu_count() or 1) // WORKER_PROCESSES))
"""Value of EMBEDDING_THREADS that divides the CPUs between them."""
WORKER_APP = "indexer_worker.celery_app"
# Debian installs servers in folders that are not on an ordinary user's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


class ServerError(Exception):
    """A server is missing, does not start, or has exited. The message says what to do."""


@dataclass(frozen=True)
class Running:
    """A process with its own process group, so that its children can be stopped with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Terminate the process, wait for it, then kill what is left of its group."""
        if self.process.poll() is None:
            self.ask_to_end()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not stop within {timeout:.0f} s and is killed.", file=sys.stderr)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM without waiting, to stop several at once; call `stop` afterwards."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> str | None:
        """Return one line on how the process exited, or None while it is running."""
        code = self.process.poll()
        return None if code is None else f"{self.name} exited unexpectedly (exit code {code}); its log: {self.log}"


StartProcess = Callable[..., Running]
"""Starts a process with these command arguments and, as keywords, environment variables."""


def worker_arguments(app: str = WORKER_APP) -> tuple[str, ...]:
    """Return Python's arguments for running an index worker."""
    options = ("--queues", "index", "--concurrency", str(WORKER_PROCESSES), "--without-gossip", "--without-mingle")
    return ("-m", "celery", "-A", app, "worker", *options)


def free_port() -> int:
    """Return a free loopback port, round-robin, so that concurrent callers get different ones.

    A port chosen by the kernel could be given to another process, or to an outgoing connection, before the server
    listens. These ports are below the range that Linux and macOS choose from, and all processes of a user take turns.
    """
    turn = Path(tempfile.gettempdir()) / f"mental-health-platform-{os.getuid()}.port"
    with turn.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        # Users who share a machine start at different ports.
        port = int(text) if text.isdecimal() else PORTS[os.getuid() * 997 % len(PORTS)]
        for _ in PORTS:
            port = port + 1 if port + 1 in PORTS else PORTS[0]
            if _can_be_bound(port):
                file.truncate(0)
                file.write(str(port))
                return port
    raise ServerError(f"No port from {PORTS[0]} to {PORTS[-1]} is free on this machine.")


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Return whether a server accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Running:
    """Start a process in its own group, with its output in `log`, in `folder` or the current folder.

    Only the owner can read the log: conversations-api may print a setup token.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(mode=0o600)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=folder,
            start_new_session=True,
        )
    return Running(name, process, log)


def wait_until(server: Running, ready: Callable[[], bool], timeout: float = START_TIMEOUT) -> None:
    """Return when `ready()` is true. If the server exits or takes too long, stop it and raise ServerError."""
    deadline = time.monotonic() + timeout
    while not ready():
        ended = server.ended()
        if ended is None and time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        server.stop()
        raise ServerError(ended or f"{server.name} is not ready after {timeout:.0f} s; its log: {server.log}")


def on_path(binary: str) -> str | None:
    """Return a program from PATH, or from the folders where Debian installs servers."""
    return shutil.which(binary, path=SEARCH_PATH)
