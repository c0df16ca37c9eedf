"""Processes of this machine: their ports, their start and their end. Each listens on loopback only."""

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
"""Seconds that a server may take until it accepts connections."""
PORTS = range(20_000, 32_000)
"""Where private servers listen: below the ports that the kernel gives to outgoing connections."""
STOP_TIMEOUT = 20.0
"""Seconds that a process may take to end after SIGTERM."""

WORKER_PROCESSES = 2
"""One embeds while the other writes to the index."""
WORKER_THREADS = str(max(1, (os.cpu_count() or 1) // WORKER_PROCESSES))
"""Value of EMBEDDING_THREADS that shares the processors between them."""
WORKER_APP = "indexer_worker.celery_app"
# Debian keeps servers where an ordinary user's PATH does not look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


class ServerError(Exception):
    """A server is missing, does not start, or ended. The message says what to do."""


@dataclass(frozen=True)
class Running:
    """A process that leads its own group, so that whatever it starts can be ended with it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Ask the process to end, wait for it, then end what is left of its group."""
        if self.process.poll() is None:
            self.ask_to_end()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not end within {timeout:.0f} s and is killed.", file=sys.stderr)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, to end several at the same time; each is to be stopped afterwards."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> str | None:
        """Return one line on how the process ended, or None while it runs."""
        code = self.process.poll()
        return None if code is None else f"{self.name} ended unexpectedly (exit code {code}); its log: {self.log}"


StartProcess = Callable[..., Running]
"""Starts a process with these arguments of its command and, as keywords, variables of its environment."""


def worker_arguments(app: str = WORKER_APP) -> tuple[str, ...]:
    """Return the arguments that make Python an index worker."""
    options = ("--queues", "index", "--concurrency", str(WORKER_PROCESSES), "--without-gossip", "--without-mingle")
    return ("-m", "celery", "-A", app, "worker", *options)


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that nobody else who asks here is given before all others.

    A port of the kernel's choice could be given to a second process, or to an outgoing connection, before the server
    that it is meant for listens. These lie below those that Linux and macOS choose from, and are given in turn to all
    processes of a user.
    """
    turn = Path(tempfile.gettempdir()) / f"mental-health-platform-{os.getuid()}.port"
    with turn.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        # Users who share a machine begin at different places.
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
    """Say whether somebody accepts connections on this loopback port."""
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
    """Start a process in a group of its own, with its output in `log`; in this folder, else in the present one."""
    log.parent.mkdir(parents=True, exist_ok=True)
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
    """Return when `ready()` is true. Raises ServerError, with the server stopped, when it ends or takes too long."""
    deadline = time.monotonic() + timeout
    while not ready():
        ended = server.ended()
        if ended is None and time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        server.stop()
        raise ServerError(ended or f"{server.name} is not ready after {timeout:.0f} s; its log: {server.log}")


def on_path(binary: str) -> str | None:
    """Return a program from PATH, or from where Debian keeps servers."""
    return shutil.which(binary, path=SEARCH_PATH)
