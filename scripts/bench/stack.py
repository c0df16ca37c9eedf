"""The platform as separate processes on real servers, for measuring."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pymysql
import servers

ROOT = Path(__file__).resolve().parent.parent.parent
DATABASE = "legacy_development"


class BenchStack:
    """Context manager; the worker runs only where it is asked for, so that it takes no time from other measurements."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._running: list[servers.Running] = []
        self.mysql_port, self.api_port, self.rag_port = (servers.free_port() for _ in range(3))
        redis_port, milvus_port = servers.free_port(), servers.free_port()
        self._redis_port, self._milvus_port = redis_port, milvus_port
        self.milvus_uri = f"http://127.0.0.1:{milvus_port}"
        self.api_url = f"http://127.0.0.1:{self.api_port}"
        self.rag_url = f"http://127.0.0.1:{self.rag_port}"
        self.env: Mapping[str, str] = {
            **os.environ,
            "DATABASE_URL": f"mysql+aiomysql://root@127.0.0.1:{self.mysql_port}/{DATABASE}",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "MILVUS_URI": self.milvus_uri,
            "CONVERSATIONS_URL": self.api_url,
            "EMBEDDING_PROVIDER": "local",
            "LOG_LEVEL": "WARNING",
            **environment,
        }

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._running:
            self._running.pop().stop()

    def _start_all(self) -> None:
        self._running.append(servers.start_mysql(self._folder / "mysql", self.mysql_port, durable=True))
        self._running.append(servers.start_redis(self._folder / "redis", self._redis_port))
        self._running.append(servers.start_milvus_lite(self._folder / "milvus" / "bench.db", self._milvus_port))
        self._create_database()
        self.serve("conversations-api", "conversations_api.main:create_app", self.api_port, "/readyz")
        self.serve("rag-api", "rag_api.main:create_app", self.rag_port, "/readyz")

    def _create_database(self) -> None:
        with pymysql.connect(host="127.0.0.1", port=self.mysql_port, user="root") as connection:
            connection.cursor().execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        folder = ROOT / "services" / "conversations-api"
        subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=folder, env=self.env, check=True)

    def serve(self, name: str, factory: str, port: int, ready: str) -> None:
        """Start one ASGI application under uvicorn, one process, and wait until it answers `ready` with 200."""
        command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), "--no-access-log"]
        env = {**self.env, "PYTHONPATH": str(Path(__file__).parent)}
        server = servers.start(name, [*command, "--log-level", "warning"], self._folder / f"{name}.log", env)
        self._running.append(server)
        servers.wait_until(server, lambda: _answers(f"http://127.0.0.1:{port}{ready}"), timeout=60)

    @contextmanager
    def worker(self) -> Iterator[servers.Running]:
        """Run an index worker while the block lasts."""
        env = {**self.env, "EMBEDDING_THREADS": servers.WORKER_THREADS}
        command = [sys.executable, *servers.WORKER]
        server = servers.start("worker", command, self._folder / "worker.log", env)
        try:
            yield server
        finally:
            server.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
