"""The parts of the stack: how each is started, and how to tell that it is ready."""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pymysql
from mh_common.auth.roles import Role

from mh_devtools import access, servers
from mh_devtools.paths import DATABASE_SERVICE
from mh_devtools.servers import nginx
from mh_devtools.stack import environment

DATABASE: Final = "legacy_development"
REPLICAS: Final = 2
CONVERSATIONS: Final = tuple(f"conversations-api-{number + 1}" for number in range(REPLICAS))
RAG: Final = tuple(f"rag-api-{number + 1}" for number in range(REPLICAS))
WORKERS: Final = tuple(f"indexer-worker-{number + 1}" for number in range(REPLICAS))
USERNAME: Final = "make-stack"
"""The service account whose key `make stack` and `make smoke` use."""
API_KEY_FILE: Final = "api-key"
STORES, SERVICES, ENTRANCE = range(3)
"""The startup steps."""

FAIL_TIMEOUT_S: Final = 2
"""How long the gateway does not use a replica that was unreachable."""
STOP_S: Final = 32.0
"""A replica is killed after this; it is meant to stop within 30 s."""


@dataclass(frozen=True)
class Part:
    """One process: `start` starts it on its existing data, `ready` returns whether it is ready.

    Parts of a later `step` depend on those of an earlier one, and are stopped before them.
    """

    name: str
    step: int
    start: Callable[[], servers.Running]
    ready: Callable[[], bool]


class Parts:
    """All parts, with their ports. `folder` is for data and logs; `given` has the operator's variables."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        self._folder = folder
        self.api_key_file = folder / API_KEY_FILE
        stores = [] if given.get("MILVUS_URI") else ["milvus"]
        names = ("mysql", "redis", "services", *stores, *CONVERSATIONS, *RAG)
        self.ports = dict(zip(names, _quiet_ports(len(names)), strict=True))
        self.gateway_port = _free(given, "GATEWAY_PORT", 8080)
        self.flower_port = _free(given, "FLOWER_PORT", 5555)
        self.url = f"http://127.0.0.1:{self.gateway_port}"
        self.flower_url = f"http://127.0.0.1:{self.flower_port}"
        here = {
            "MYSQL_ADDRESS": f"127.0.0.1:{self.ports['mysql']}",
            "REDIS_ADDRESS": f"127.0.0.1:{self.ports['redis']}",
            "CONVERSATIONS_URL": f"http://127.0.0.1:{self.ports['services']}",
        }
        if stores:
            here["MILVUS_URI"] = f"http://127.0.0.1:{self.ports['milvus']}"
        self._setup_token_file = folder / "setup-token"
        self._given = {"WEB_CONCURRENCY": "1", **given, **here}

    def stores(self) -> list[Part]:
        """Return the stores. Each is ready when its `start` returns."""
        port, password = self.ports, self._given["REDIS_PASSWORD"]
        starts: dict[str, Callable[[], servers.Running]] = {
            "mysql": lambda: servers.start_mysql(self._folder / "mysql", port["mysql"], durable=True),
            "redis": lambda: servers.start_redis(self._folder / "redis", port["redis"], keep=True, password=password),
            "milvus": lambda: servers.start_milvus_lite(self._folder / "milvus" / "embeddings.db", port["milvus"]),
        }
        return [Part(name, STORES, start, lambda: True) for name, start in starts.items() if name in port]

    def services(self) -> list[Part]:
        """Return the other parts, in the order of their dependencies."""
        gateway = Part("gateway", ENTRANCE, self._start_gateway, lambda: _answers(f"{self.url}/docs"))
        conversations = [self._api("conversations-api", name) for name in CONVERSATIONS]
        return [*conversations, gateway, *(self._api("rag-api", name) for name in RAG), *self._index()]

    def migrate(self) -> None:
        """Create the database and its user if they do not exist, and run the migrations. Raises ServerError."""
        self._make_database()
        command = [sys.executable, "-m", "alembic", "-c", str(DATABASE_SERVICE / "alembic.ini"), "upgrade", "head"]
        env = environment.process_environment("conversations-api", self._given)
        done = subprocess.run(command, cwd=self._folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise servers.ServerError(f"The database migration failed: {lines[-1]}")

    def api_key(self) -> str | None:
        """Return the API key of an administrator, kept in `api_key_file`; None with AUTH_MODE=open.

        conversations-api must be ready. Raises ServerError.
        """
        if self._given.get("AUTH_MODE") == access.OPEN:
            return None
        env = environment.process_environment("conversations-api", self._given)
        return access.api_key(
            self.api_key_file, self.url, lambda: access.add_key(USERNAME, Role.ADMIN, env, self._folder)
        )

    def setup_token(self, key: str) -> str | None:
        """Return the token for making the first administrator; None if a person has an account. Raises ServerError."""
        return access.setup_token(self._setup_token_file, self.url, key)

    def _make_database(self) -> None:
        user, password = self._given.get("MYSQL_USER") or "conversations", self._given["MYSQL_PASSWORD"]
        with closing(self._connect_to_mysql()) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (user, password))
            cursor.execute(f"GRANT ALL ON {DATABASE}.* TO %s@'%%'", (user,))
            cursor.execute("ALTER USER root@localhost IDENTIFIED BY %s", (self._given["MYSQL_ROOT_PASSWORD"],))

    def _connect_to_mysql(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        password = self._given["MYSQL_ROOT_PASSWORD"]
        try:
            return pymysql.connect(host="127.0.0.1", port=self.ports["mysql"], user="root", password=password)
        except pymysql.err.OperationalError:
            # A new database: root has no password yet.
            return self._connect_to_new_mysql()

    def _connect_to_new_mysql(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        try:
            return pymysql.connect(host="127.0.0.1", port=self.ports["mysql"], user="root")
        except pymysql.err.OperationalError:
            raise servers.ServerError(
                f"The database in {self._folder} was created with another MYSQL_ROOT_PASSWORD; "
                "set that one, or delete the folder with all its data."
            ) from None

    def _api(self, service: str, name: str) -> Part:
        port = self.ports[name]
        more = {"AUTH_SETUP_TOKEN_FILE": str(self._setup_token_file)} if name in CONVERSATIONS else {}
        start = self._starter(service, name, "-m", service.replace("-", "_"), WEB_PORT=str(port), **more)
        return Part(name, SERVICES, start, lambda: _answers(f"http://127.0.0.1:{port}/readyz"))

    def _index(self) -> list[Part]:
        found = []
        threads = str(max(1, (os.cpu_count() or 1) // len(WORKERS)))
        celery = ("-m", "celery", "-A", "indexer_worker.celery_app")
        cache = {"WORKER_EMBEDDING_CACHE": str(self._folder / "embeddings.sqlite")}
        for name in WORKERS:
            heartbeat = self._folder / f"{name}.json"
            more = {"WORKER_HEARTBEAT_FILE": str(heartbeat), "EMBEDDING_THREADS": threads, **cache}
            work = ("worker", "--concurrency", "1", "--queues", "index", "--loglevel", "WARNING", "--without-gossip")
            start = self._starter("indexer-worker", name, *celery, *work, "--hostname", f"{name}@%h", **more)
            found.append(Part(name, SERVICES, _without(heartbeat, start), heartbeat.exists))
        schedule = self._folder / "schedule"
        # Some of Python's dbm implementations append an extension.
        written = partial(self._folder.glob, f"{schedule.name}*")
        start_beat = self._starter(
            "indexer-worker", "indexer-beat", *celery, "beat", RECONCILE_SCHEDULE_FILE=str(schedule)
        )
        found.append(Part("indexer-beat", SERVICES, start_beat, lambda: any(written())))
        flower = ("-m", "celery", "flower", "--address=127.0.0.1", f"--port={self.flower_port}")
        start_flower = self._starter("flower", "flower", *flower)
        return [*found, Part("flower", SERVICES, start_flower, lambda: _answers(f"{self.flower_url}/healthcheck"))]

    def _starter(self, service: str, name: str, *arguments: str, **more: str) -> Callable[[], servers.Running]:
        env = environment.process_environment(service, self._given, **more)
        log = self._folder / "log" / f"{name}.log"
        # In a folder without a developer's .env.
        return lambda: servers.start(name, [sys.executable, *arguments], log, env, self._folder)

    def _start_gateway(self) -> servers.Running:
        address = self._given.get("GATEWAY_ADDRESS") or "127.0.0.1"
        values = {
            **environment.read("gateway", self._given),
            "GATEWAY_LISTEN": f"{address}:{self.gateway_port}",
            "GATEWAY_SERVICES_LISTEN": f"127.0.0.1:{self.ports['services']}",
            "CONVERSATIONS_UPSTREAM": self._upstream(CONVERSATIONS),
            "RAG_UPSTREAM": self._upstream(RAG),
        }
        return nginx.start_nginx(self._folder / "gateway", self.gateway_port, values)

    def _upstream(self, names: tuple[str, ...]) -> str:
        watched = f"max_fails=3 fail_timeout={FAIL_TIMEOUT_S}s"
        return " ".join(f"server 127.0.0.1:{self.ports[name]} {watched};" for name in names)


def _without(file: Path, start: Callable[[], servers.Running]) -> Callable[[], servers.Running]:
    """Return a start function that first deletes `file`, whose reappearance means that the process is ready."""

    def start_anew() -> servers.Running:
        file.unlink(missing_ok=True)
        return start()

    return start_anew


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _quiet_ports(number: int) -> list[int]:
    """Return loopback ports below the ephemeral range, so that none is taken while its process restarts."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == number:
            return found
    raise servers.ServerError("There are not enough free ports between 20000 and 30000.")


def _free(given: Mapping[str, str], name: str, default: int) -> int:
    """Return the port that this variable sets. Raises ServerError if it is invalid or in use."""
    text = given.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise servers.ServerError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    if servers.listens(int(text)):
        raise servers.ServerError(
            f"Port {text} is in use; stop the program that uses it, or choose another port: {name}=..."
        )
    return int(text)
