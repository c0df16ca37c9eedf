"""The whole platform on one machine without servers to install: `make run` and `make demo`.

SQLite, a private Redis, Milvus Lite as a server, both APIs behind one port, and a Celery worker. Data stays in `var/`.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import httpx
import servers
from mh_client import Client, IndexRunStatus, IndexStatus, MHError
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "scripts" / "sample" / "conversations.csv"
QUESTION = "My patient lies awake at night because of worries about work. How can I help?"

console = Console(highlight=False)


class Interrupts:
    """Turns signals into KeyboardInterrupt, but not while a process is being started or stopped: none is forgotten."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._arrived)

    def _arrived(self, _: int, __: FrameType | None) -> None:
        self._pending = True
        self._raise_pending()

    def _raise_pending(self) -> None:
        if self._pending and not self._held:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put signals off until the block has ended."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise_pending()


@contextmanager
def sole_owner(var: Path) -> Iterator[None]:
    """Hold the data directory: its database files must not be opened twice."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise servers.ServerError(f"The platform already runs on the data in {var}; stop it first.") from None
        yield


def port_from_environment() -> int:
    """Return MH_PORT or 8080. Raises ServerError when it is no port, or taken."""
    text = os.environ.get("MH_PORT", "8080")
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise servers.ServerError(f"MH_PORT must be a port number from 1 to 65535, not {text!r}.")
    if servers.listens(int(text)):
        raise servers.ServerError(
            f"Port {text} is taken; stop what listens there, or choose another: MH_PORT=8081 make run"
        )
    return int(text)


class Stack:
    """The running processes, in the order in which they were started."""

    def __init__(self, var: Path, port: int, interrupts: Interrupts) -> None:
        self.var = var
        self._interrupts = interrupts
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._running: list[servers.Running] = []

    def start(self) -> None:
        """Start everything and return when all of it is ready. Raises ServerError."""
        redis_port, milvus_port = servers.free_port(), servers.free_port()
        with self._interrupts.held():
            self._running.append(servers.start_redis(self.var / "redis", redis_port, keep=True))
            self._running.append(servers.start_milvus_lite(self.var / "milvus" / "embeddings.db", milvus_port))
        env = self._environment(redis_port, milvus_port)
        self._migrate(env)
        self._start("Index worker", env, *servers.worker_arguments(), "--beat")
        api = ("-m", "uvicorn", "--factory", "local_gateway:create_app", "--host", "127.0.0.1")
        self._start(
            "APIs", env, *api, "--port", str(self._port), "--no-access-log", "--timeout-graceful-shutdown", "10"
        )
        servers.wait_until(self._running[-1], self._ready, timeout=60)
        self.check()

    def _environment(self, redis_port: int, milvus_port: int) -> dict[str, str]:
        return {
            # The local model unless somebody chose another: the first start must need no key, and an index of one
            # model cannot be searched with another.
            "EMBEDDING_PROVIDER": "local",
            "EMBEDDING_THREADS": servers.WORKER_THREADS,
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "scripts"), os.environ.get("PYTHONPATH")])),
            "PYTHONUNBUFFERED": "1",
            "WORKER_EMBEDDING_CACHE": str(self.var / "embeddings.sqlite"),
            "DATABASE_URL": f"sqlite+aiosqlite:///{self.var / 'legacy_development.db'}",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "SEARCH_REDIS_URL": f"redis://127.0.0.1:{redis_port}/1",
            "MILVUS_URI": f"http://127.0.0.1:{milvus_port}",
            "CONVERSATIONS_URL": self.url,
            "RECONCILE_SCHEDULE_FILE": str(self.var / "beat"),
        }

    def _start(self, name: str, env: Mapping[str, str], *arguments: str) -> None:
        log = self.var / "log" / f"{name.lower().replace(' ', '-')}.log"
        with self._interrupts.held():
            self._running.append(servers.start(name, [sys.executable, *arguments], log, env))

    @staticmethod
    def _migrate(env: Mapping[str, str]) -> None:
        folder = ROOT / "services" / "conversations-api"
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        done = subprocess.run(command, cwd=folder, env=dict(env), capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise servers.ServerError(f"The database could not be brought up to date: {lines[-1]}")

    def _ready(self) -> bool:
        try:
            response = httpx.get(f"{self.url}/readyz", timeout=5)
        except httpx.HTTPError:
            return False
        return response.status_code == 200 or self.outdated(response)

    def outdated(self, response: httpx.Response | None = None) -> bool:
        """Return whether the index has to be built anew: it is of another release or embedding model."""
        response = response or httpx.get(f"{self.url}/readyz", timeout=5)
        detail = response.json().get("dependencies", {}).get("milvus", {}).get("detail")
        return "mh index rebuild" in (detail or "")

    def check(self) -> None:
        """Raise ServerError when a process has ended."""
        for server in self._running:
            if ended := server.ended():
                raise servers.ServerError(f"{ended}. Everything is stopped; start it again with: make run")

    def stop(self) -> None:
        """End every process, the last started first."""
        with self._interrupts.held():
            while self._running:
                self._running.pop().stop()


def import_data(stack: Stack, client: Client) -> None:
    """Import MH_DATASET, else the sample, when the database is empty or an import was not finished."""
    marker = stack.var / "import-unfinished"
    if client.conversations.stats().total and not marker.exists():
        return
    dataset = os.environ.get("MH_DATASET", str(SAMPLE))
    again = [] if marker.exists() else ["--again"]
    marker.touch()
    command = [sys.executable, "-m", "mh_client.cli", "--url", stack.url, "import", dataset, "--wait", *again]
    code = subprocess.run([*command, "--state-dir", str(stack.var / "imports")], check=False).returncode
    stack.check()
    # Code 1: imported but for the rejected rows, which the importer has named.
    if code not in (0, 1):
        raise servers.ServerError(f"The import of {dataset} did not finish (exit code {code}); it said why above.")
    marker.unlink()


def renew_index(stack: Stack, client: Client) -> None:
    """Build the index anew when it is not the one that this release needs; else queue what it lost.

    Its file, or the queue's, may have been deleted since the last start.
    """
    outdated = stack.outdated()
    reason = "The index is of another release or embedding model: building it anew"
    doing = reason if outdated else "Comparing the index with the conversations"
    with console.status(doing):
        run = client.index.rebuild() if outdated else client.index.sync()
        while run.status in (IndexRunStatus.QUEUED, IndexRunStatus.RUNNING):
            stack.check()
            time.sleep(0.1)
            run = client.index.run(run.id)
    if run.status is not IndexRunStatus.DONE:
        raise servers.ServerError(f"The index could not be brought up to date: {run.reason}")


def wait_until_searchable(stack: Stack, client: Client) -> None:
    """Return when no conversation waits for the index."""
    with console.status("Waiting until everything is searchable"):
        while client.conversations.stats().index_status[IndexStatus.PENDING]:
            stack.check()
            time.sleep(0.2)


def ask(client: Client) -> None:
    """Ask the sample question and print the answer with its sources."""
    answer = client.answer(QUESTION)
    console.print(f"\n[bold]{QUESTION}[/bold]", soft_wrap=True)
    console.print(Panel(Text(answer.answer), subtitle=f"model: {answer.model}"))
    for number, source in enumerate(answer.sources, start=1):
        text = " ".join(source.question.split())
        console.print(
            f"  [{number}] conversation {source.id}, score {source.score:.2f}: {text[:100]}",
            markup=False,
            soft_wrap=True,
        )


def print_addresses(url: str) -> None:
    """Print what to open and what to type."""
    lines = (
        f"\nServing at {url}  (Ctrl-C stops everything)",
        f"  documentation  {url}/docs",
        f"  conversations  {url}/api/v1/conversations?limit=5",
        f"  ask            .venv/bin/mh --url {url} ask 'How do I help with panic attacks?'",
    )
    for line in lines:
        console.print(line, soft_wrap=True)


def serve(var: Path, interrupts: Interrupts, *, demo: bool) -> None:
    """Run the stack until a signal comes; with `demo` until the sample question is answered."""
    with sole_owner(var), ExitStack() as cleanup:
        stack = Stack(var, port_from_environment(), interrupts)
        cleanup.callback(stack.stop)
        with console.status("Starting Redis, Milvus Lite, the APIs and the worker"):
            stack.start()
        with Client(stack.url, timeout=60) as client:
            renew_index(stack, client)
            import_data(stack, client)
            wait_until_searchable(stack, client)
            ask(client)
        if demo:
            return
        print_addresses(stack.url)
        while True:
            stack.check()
            time.sleep(0.5)


def main() -> None:
    """Parse the command line and run. Exit code 1, after one line on standard error, when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", action="store_true", help="exit after the sample question is answered")
    parser.add_argument("--var", type=Path, default=ROOT / "var", help="where data and logs are kept")
    arguments = parser.parse_args()
    try:
        serve(arguments.var.resolve(), Interrupts(), demo=arguments.demo)
    except KeyboardInterrupt:
        console.print("Stopped; the data stays in", str(arguments.var))
    except (servers.ServerError, MHError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
