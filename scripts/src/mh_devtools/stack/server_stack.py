"""The platform as separate processes on real servers, for tests and benchmarks.

MariaDB or MySQL, Redis, Milvus Lite and both APIs; index workers are started on request.
"""

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
from mh_client import AsyncClient, IndexStatus
from mh_common.auth.roles import Role, Scope
from mh_common.auth.tokens import TokenKind, make_token

from mh_devtools import access, servers
from mh_devtools.paths import DATABASE_SERVICE
from mh_devtools.testing.waiting import eventually

DATABASE = "legacy_development"
NO_MILVUS = "http://127.0.0.1:9"
"""Pass this as `milvus_uri` if no index is needed, so that none is started."""
SETTINGS = (
    *("ANSWERS_", "AUTH_", "CONVERSATIONS_", "DATABASE_", "DOORS_", "EGRESS_", "EMBEDDING_", "ENVIRONMENT"),
    *("HISTORY_", "LLM_", "LOG_", "METRICS_", "MH_API_KEY", "MH_SERVICE_KEY", "MILVUS_", "OIDC_", "OPENAI_", "OTEL_"),
    *("PHI_", "PROMETHEUS_", "REDIS_", "RELAY_", "SEARCH_", "STARTUP_", "WEB_", "WORKER_"),
)
"""Prefixes of the services' environment variables."""


class ServerStack:
    """Context manager. Workers run only on request, so that they do not disturb measurements.

    Args:
        folder: for data and logs.
        mysql_port, redis_url, milvus_uri: running stores to use (MySQL: user root without password). The others are
            started, and stopped at the end.
        database: name of the database, which is created.
        durable: a database started here syncs on every commit.
        deployed: run the APIs under Gunicorn, as deployed, with one worker process, instead of uvicorn.
        rag_app: application factory of rag-api; None: do not start it.
        environment: environment variables of the APIs and workers. AUTH_MODE is `open` unless it is set here; with
            `required` they also need a MH_SERVICE_KEY.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mysql_port: int | None = None,
        redis_url: str | None = None,
        milvus_uri: str | None = None,
        database: str = DATABASE,
        durable: bool = False,
        deployed: bool = False,
        rag_app: str | None = "rag_api.main:create_app",
        **environment: str,
    ) -> None:
        self._folder = folder
        self._durable = durable
        self._deployed = deployed
        self._rag_app = rag_app
        self._given = {"mysql": mysql_port, "redis": redis_url, "milvus": milvus_uri}
        self._running: list[servers.Running] = []
        self._stores = 0
        self._service_key = make_token(TokenKind.SERVICE_KEY)
        self._redis_port, self._milvus_port = servers.free_port(), servers.free_port()
        self.api_port, self.rag_port = servers.free_port(), servers.free_port()
        self.mysql_port, self.database = mysql_port or servers.free_port(), database
        self.milvus_uri = milvus_uri or f"http://127.0.0.1:{self._milvus_port}"
        self.api_url = f"http://127.0.0.1:{self.api_port}"
        self.rag_url = f"http://127.0.0.1:{self.rag_port}"
        self.env: dict[str, str] = {
            # Without the settings of whoever runs this, so that their stores are not touched and their keys not used.
            **{name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)},
            "DATABASE_URL": f"mysql+aiomysql://root@127.0.0.1:{self.mysql_port}/{database}",
            "REDIS_URL": redis_url or f"redis://127.0.0.1:{self._redis_port}/0",
            "MILVUS_URI": self.milvus_uri,
            "CONVERSATIONS_URL": self.api_url,
            "AUTH_MODE": access.OPEN,
            "EMBEDDING_PROVIDER": "local",
            "LOG_LEVEL": "WARNING",
            **environment,
        }

    def __enter__(self) -> Self:
        try:
            self._start_stores()
            self._create_database(self.database, self.env)
            self.serve("conversations-api", "conversations_api.main:create_app", self.api_port, "/readyz")
            if self._rag_app:
                self.serve("rag-api", self._rag_app, self.rag_port, "/readyz")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for application in self._running[self._stores :]:
            # All at once, since each drains for seconds.
            application.ask_to_end()
        while self._running:
            self._running.pop().stop()

    @property
    def running(self) -> dict[str, servers.Running]:
        """The servers started by the stack, by name, without the workers."""
        return {server.name: server for server in self._running}

    def _start_stores(self) -> None:
        if self._given["mysql"] is None:
            self._running.append(servers.start_mysql(self._folder / "mysql", self.mysql_port, durable=self._durable))
        if self._given["redis"] is None:
            self._running.append(servers.start_redis(self._folder / "redis", self._redis_port))
        if self._given["milvus"] is None:
            self._running.append(servers.start_milvus_lite(self._folder / "milvus" / "stack.db", self._milvus_port))
        self._stores = len(self._running)

    def _create_database(self, name: str, env: Mapping[str, str]) -> None:
        with self.connect_to_mysql() as connection:
            connection.cursor().execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        migrate(env, self._folder)

    def add_database(self) -> str:
        """Create a second database with the same tables, which the platform does not use; return its name."""
        name = f"{self.database}_beside"
        self._create_database(name, self.env | self.beside)
        return name

    @property
    def beside(self) -> dict[str, str]:
        """Environment variables for a process that uses the second database."""
        return {"DATABASE_URL": f"{self.env['DATABASE_URL']}_beside"}

    @property
    def with_accounts(self) -> dict[str, str]:
        """Environment variables for an API with access control, beside those without it.

        Requests are counted against quotas that are not used up.
        """
        quotas = ", ".join(f"{scope}:minute=999999999" for scope in (Scope.CONVERSATIONS_READ, Scope.SEARCH))
        return {"AUTH_MODE": access.REQUIRED, "MH_SERVICE_KEY": self._service_key, "RATE_LIMITS": quotas}

    def add_key(self, username: str, role: Role = Role.ADMIN) -> str:
        """Return a new API key of a service account, which is made if there is none. Raises ServerError."""
        return access.add_key(username, role, self.env, self._folder)

    def connect_to_mysql(self, database: str | None = None) -> pymysql.Connection:
        """Return a new connection to the database; the caller closes it."""
        return pymysql.connect(host="127.0.0.1", port=self.mysql_port, user="root", database=database)

    def serve(self, name: str, factory: str, port: int, ready: str, **environment: str) -> None:
        """Start one ASGI application in one process, and wait until the path `ready` returns 200."""
        command = ["uvicorn", "--factory", factory, "--port", str(port), "--no-access-log", "--log-level", "warning"]
        if self._deployed:
            command = ["gunicorn", "--config=python:mh_common.web.gunicorn_conf", f"--bind=127.0.0.1:{port}"]
            command += ["--workers=1", f"{factory}()"]
        server = self._start(name, sys.executable, "-m", *command, **environment)
        self._running.append(server)
        servers.wait_until(server, lambda: answers(f"http://127.0.0.1:{port}{ready}"), timeout=60)

    @contextmanager
    def serving(self, name: str, factory: str, port: int, ready: str, **environment: str) -> Iterator[None]:
        """Do what `serve` does, and stop the application after the block."""
        self.serve(name, factory, port, ready, **environment)
        server = self._running[-1]
        try:
            yield
        finally:
            self._running.remove(server)
            server.stop()

    @contextmanager
    def worker(
        self, name: str = "worker", app: str = servers.WORKER_APP, **environment: str
    ) -> Iterator[servers.Running]:
        """Run an index worker while the block runs; concurrent workers need different names."""
        command = [sys.executable, *servers.worker_arguments(app), "--hostname", f"{name}@%h"]
        server = self._start(name, *command, EMBEDDING_THREADS=servers.WORKER_THREADS, **environment)
        try:
            yield server
        finally:
            server.stop()

    def _start(self, name: str, *command: str, **environment: str) -> servers.Running:
        # In a folder without a developer's .env.
        return servers.start(name, command, self._folder / f"{name}.log", self.env | environment, self._folder)


async def until_indexed(client: AsyncClient) -> None:
    """Return when no conversation is pending in the index. Raises AssertionError after a minute."""

    async def none_waits() -> bool:
        return not (await client.conversations.stats()).index_status[IndexStatus.PENDING]

    await eventually(none_waits, what="no conversation is pending in the index")


def migrate(env: Mapping[str, str], folder: Path = DATABASE_SERVICE) -> None:
    """Run the migrations on DATABASE_URL. The .env of `folder` is read, if there is one."""
    command = [sys.executable, "-m", "alembic", "-c", str(DATABASE_SERVICE / "alembic.ini"), "upgrade", "head"]
    subprocess.run(command, cwd=folder, env=dict(env), check=True)


def answers(url: str) -> bool:
    """Return whether a GET returns 200."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
