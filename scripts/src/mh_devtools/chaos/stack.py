"""The platform as processes that can be killed, stopped and restarted."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
import psutil
import pymysql
from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.jobs import INDEX_QUEUE

from mh_devtools import access, servers
from mh_devtools.chaos.interposer import API_DATABASE, WORKER_DATABASE
from mh_devtools.chaos.plan import APIS, MILVUS, MYSQL, RAG, REDIS, WORKERS
from mh_devtools.paths import DATABASE_SERVICE
from mh_devtools.stubs.openai_stub import StubOpenAI

DATABASE: Final = "chaos"
DIMENSION: Final = 32

# Short timeouts throughout, so that they expire within a short run.
_SHORT_WAITS: Final = {
    "CONVERSATIONS_TIMEOUT": "3",
    "DATABASE_LOCK_TIMEOUT": "3",
    "DATABASE_POOL_TIMEOUT": "3",
    "EMBEDDING_MAX_ATTEMPTS": "2",
    "EMBEDDING_MAX_WAIT": "1",
    "EMBEDDING_TIMEOUT": "2",
    "MILVUS_TIMEOUT": "3",
    "RECONCILE_GRACE": "3",
    "RELAY_LEASE": "5",
    "RELAY_MAX_BACKOFF": "2",
    "SEARCH_EMBED_TIMEOUT": "3",
    "WORKER_HOLD_TIME": "1",
    "WORKER_JOB_TIMEOUT": "4",
    "WORKER_MAX_RETRY_DELAY": "3",
    "WORKER_TIME_LIMIT": "5",
}


class ChaosStack:
    """MariaDB, Redis, Milvus Lite, two conversations APIs, rag-api and two workers.

    A context manager. `folder` holds data and logs; `start_all` starts the processes. Access control is on, so that
    faults meet the check of keys too; `api_key` is an administrator's, once started.
    """

    def __init__(self, folder: Path, embedder: StubOpenAI) -> None:
        self.folder = folder
        self.ports = {name: servers.free_port() for name in (*APIS, RAG, REDIS, MILVUS, MYSQL)}
        self.urls = {name: f"http://127.0.0.1:{self.ports[name]}" for name in (*APIS, RAG, MILVUS)}
        self.redis_keeps = False
        self.api_key = ""
        self.unexpected: list[str] = []
        self._running: dict[str, servers.Running] = {}
        self._down: set[str] = set()
        self._env: Mapping[str, str] = {
            **os.environ,
            "DATABASE_URL": f"mysql+aiomysql://root@127.0.0.1:{self.ports[MYSQL]}/{DATABASE}",
            "REDIS_URL": f"redis://127.0.0.1:{self.ports[REDIS]}/{API_DATABASE}",
            "MILVUS_URI": self.urls[MILVUS],
            "EMBEDDING_PROVIDER": "openai",
            "EMBEDDING_BASE_URL": embedder.base_url,
            "EMBEDDING_API_KEY": embedder.api_key,
            "EMBEDDING_MODEL": "stub",
            "EMBEDDING_DIMENSION": str(embedder.dimension),
            "AUTH_MODE": access.REQUIRED,
            "MH_SERVICE_KEY": make_token(TokenKind.SERVICE_KEY),
            "RATE_LIMITS": "none",
            "LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
            **_SHORT_WAITS,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in reversed(self._running.values()):
            # A stopped process cannot handle SIGTERM, and a graceful shutdown is not needed.
            with suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()

    def start_all(self) -> None:
        """Start everything with empty stores and wait until it is ready. Raises ServerError."""
        for name in (MYSQL, REDIS, MILVUS):
            self.start(name)
        with self.database() as connection:
            connection.cursor().execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        subprocess.run(command, cwd=DATABASE_SERVICE, env=self._env, check=True)
        self.api_key = access.add_key("chaos", Role.ADMIN, self._env)
        for name in (*APIS, RAG, *WORKERS):
            self.start(name)
        for name in (*APIS, RAG):
            servers.wait_until(self._running[name], lambda: self.ready(name), timeout=90)  # noqa: B023 - used at once

    def database(self, name: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """Connect directly to MariaDB."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.ports[MYSQL],
            user="root",
            database=name,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
            read_timeout=20,
        )

    def ready(self, name: str) -> bool:
        """Return whether an API reports that it and its dependencies are ready."""
        try:
            return httpx.get(f"{self.urls[name]}/readyz", timeout=3).status_code == 200
        except httpx.HTTPError:
            return False

    def start(self, name: str) -> None:
        """Start a process with the data it left behind; a store is ready on return. Raises ServerError."""
        self._running[name] = self._starter(name)()
        self._down.discard(name)

    def kill(self, name: str) -> None:
        """Kill a process and its children with SIGKILL."""
        self._down.add(name)
        self.signal(name, signal.SIGKILL)
        self._running[name].process.wait()

    def stop(self, name: str) -> None:
        """Stop a process gracefully."""
        self._down.add(name)
        self._running[name].stop()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self._running[name].process.pid, number)

    def children(self, name: str) -> list[psutil.Process]:
        """Return a worker's child processes, which run its jobs."""
        try:
            return list(psutil.Process(self._running[name].process.pid).children())
        except psutil.NoSuchProcess:
            return []

    async def supervise(self) -> None:
        """Restart processes that end unexpectedly, after a second, as a process manager does."""
        while True:
            for name, server in list(self._running.items()):
                if name not in self._down and server.process.poll() is not None:
                    self.unexpected.append(f"{name} ended by itself (exit code {server.process.returncode})")
                    self._down.add(name)
                    await asyncio.sleep(1)
                    # Kill the rest of its process group first: two workers must not have the same name.
                    self.signal(name, signal.SIGKILL)
                    await asyncio.to_thread(self.start, name)
            await asyncio.sleep(0.1)

    def _starter(self, name: str) -> Callable[[], servers.Running]:
        folder = self.folder / name
        stores: dict[str, Callable[[], servers.Running]] = {
            # Durable: an acknowledged write must survive kill -9.
            MYSQL: lambda: servers.start_mysql(folder, self.ports[MYSQL], durable=True),
            REDIS: lambda: servers.start_redis(folder, self.ports[REDIS], keep=self.redis_keeps),
            MILVUS: lambda: servers.start_milvus_lite(folder / "chaos.db", self.ports[MILVUS]),
        }
        return stores.get(name) or (lambda: self._start_service(name))

    def _start_service(self, name: str) -> servers.Running:
        # Each worker uses an API of its own; rag-api uses the first one too.
        api = APIS[WORKERS.index(name)] if name in WORKERS else APIS[0]
        env = {**self._env, "CONVERSATIONS_URL": self.urls[api]}
        if name in WORKERS:
            env["REDIS_URL"] = f"redis://127.0.0.1:{self.ports[REDIS]}/{WORKER_DATABASE}"
            env["WORKER_HEARTBEAT_FILE"] = str(self.folder / name / "heartbeat.json")
            arguments = ["celery", "-A", "indexer_worker.celery_app", "worker", "--queues", INDEX_QUEUE]
            arguments += ["--concurrency", "1", "--without-gossip", "--without-mingle", "--hostname", f"{name}@%h"]
        else:
            factory = "rag_api.main:create_app" if name == RAG else "conversations_api.main:create_app"
            arguments = ["uvicorn", "--factory", factory, "--port", str(self.ports[name]), "--no-access-log"]
        command = [sys.executable, "-m", *arguments]
        return servers.start(name, command, self.folder / name / f"{name}.log", env)
