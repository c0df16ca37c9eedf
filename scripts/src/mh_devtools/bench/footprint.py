"""Memory and start-up time of each process, started as in a deployment, with stores already running."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil

from mh_devtools import servers
from mh_devtools.bench import stub_embedder
from mh_devtools.bench.measuring import Bench, Figure, at_most
from mh_devtools.bench.stubs import language_model
from mh_devtools.stack.server_stack import ServerStack

REQUESTS = 30
MEGABYTE = 1024**2


@dataclass
class Program:
    """A program of the platform.

    Attributes:
        name: of the program.
        command: Python's arguments.
        environment: variables in addition to those of the stack.
        memory: goal for its largest process, in MB.
        port: its HTTP port; None for the worker.
        heartbeat: the file that shows that the worker is working.
        request: sent before its memory is measured again; a POST if there is a body.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    memory: float
    port: int | None = None
    heartbeat: Path | None = None
    request: tuple[str, Mapping[str, object] | None] = ("/readyz", None)
    sizes: dict[str, list[float]] = field(default_factory=dict)

    def ready(self, log: Path) -> bool:
        """Return whether it is ready; for the worker, whether each process has loaded its model."""
        if self.heartbeat is not None:
            prepared = log.read_text(encoding="utf-8").count("worker_process_ready") == servers.WORKER_PROCESSES
            return prepared and self.heartbeat.exists()
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        return False

    def use(self) -> None:
        """Send it some requests."""
        if self.port is None:
            return
        path, body = self.request
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as client:
            for number in range(REQUESTS):
                asked = None if body is None else {**body, "query": f"cannot sleep {number}"}
                answer = client.get(path) if asked is None else client.post(path, json=asked)
                answer.raise_for_status()

    def start(self, stack: ServerStack, folder: Path) -> float:
        """Start it, record its memory, stop it; return the seconds from its start until it was ready."""
        if self.heartbeat is not None:
            self.heartbeat.unlink(missing_ok=True)
        log = folder / f"{self.name}.log"
        log.unlink(missing_ok=True)
        started = time.perf_counter()
        command = [sys.executable, *self.command]
        server = servers.start(self.name, command, log, stack.env | self.environment, folder)
        try:
            servers.wait_until(server, partial(self.ready, log))
            elapsed = time.perf_counter() - started
            self._record_memory("when ready", server)
            self.use()
            self._record_memory("after requests" if self.port else "a moment later", server)
        finally:
            # Killed: its shutdown is not measured, and takes longer than its start.
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
        return elapsed

    def _record_memory(self, moment: str, server: servers.Running) -> None:
        first = psutil.Process(server.process.pid)
        family = [(first, "first process")]
        family += [(child, f"process {number}") for number, child in enumerate(first.children(recursive=True), 2)]
        for process, name in family:
            with suppress(psutil.NoSuchProcess):
                memory = process.memory_full_info()
                self.sizes.setdefault(f"{name} {moment}: RSS, MB", []).append(memory.rss / MEGABYTE)
                self.sizes.setdefault(f"{name} {moment}: PSS, MB", []).append(memory.pss / MEGABYTE)

    def figures(self, seconds: list[float], goal: float) -> Iterator[Figure]:
        """Yield the figures of what was recorded."""
        yield Figure(f"{self.name}: start until ready", "s", at_most(goal), seconds)
        largest = max((sizes for name, sizes in self.sizes.items() if "RSS" in name), key=max)
        yield Figure(f"{self.name}: RSS of its largest process", "MB", at_most(self.memory), largest, self.sizes)


def programs(stack: ServerStack, folder: Path, openai: Mapping[str, str]) -> list[Program]:
    """Return the programs to measure."""

    def api(name: str, module: str, request: tuple[str, Mapping[str, object] | None], **environment: str) -> Program:
        port = servers.free_port()
        more = {"WEB_PORT": str(port), "WEB_CONCURRENCY": "1", **environment}
        return Program(name, ("-m", module), more, memory=150, port=port, request=request)

    search = ("/api/v1/search", {"limit": 10})
    # The same model and dimension as the local model, as they share an index.
    space = {"EMBEDDING_MODEL": stub_embedder.MODEL, "EMBEDDING_DIMENSION": str(stub_embedder.DIMENSION)}
    # As in the image without the local model, which also lacks the tokenizer for counting a prompt's tokens.
    remote = {"EMBEDDING_PROVIDER": "openai", "EMBEDDING_MODEL_DIR": str(folder), **space, **openai}
    heartbeat = folder / "worker.json"
    worker = (*servers.worker_arguments(), "--hostname", "footprint@%h")
    variables = {"WORKER_HEARTBEAT_FILE": str(heartbeat), "LOG_LEVEL": "INFO"}
    local = api("rag-api with the local model", "rag_api", search, EMBEDDING_PROVIDER="local")
    local.memory = 350
    return [
        api("conversations-api", "conversations_api", ("/api/v1/conversations?limit=50", None)),
        api("rag-api", "rag_api", search, **remote),
        local,
        Program("indexer-worker", worker, variables, memory=350, heartbeat=heartbeat),
    ]


def measure(bench: Bench) -> Iterator[Figure]:
    """Start each program in turn."""
    with (
        language_model(bench.folder, "--dimension", str(stub_embedder.DIMENSION)) as openai,
        ServerStack(bench.folder, durable=True, deployed=True, rag_app=None) as stack,
    ):
        chosen = programs(stack, bench.folder, openai)
        seconds: dict[str, list[float]] = {one.name: [] for one in chosen}
        # No warm-up round: starting the stack has already cached the programs in memory.
        for _ in range(bench.scale.starts):
            for one in chosen:
                seconds[one.name].append(one.start(stack, bench.folder))
        for one in chosen:
            yield from one.figures(seconds[one.name], 3)
