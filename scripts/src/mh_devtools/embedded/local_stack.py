"""The processes of the embedded stack: SQLite, Redis, Milvus Lite as a server, both APIs behind one port, a worker."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from mh_common.auth.roles import Role

from mh_devtools import access, servers
from mh_devtools.embedded.interrupts import Interrupts
from mh_devtools.paths import DATABASE_SERVICE

USERNAME = "make-run"
"""The service account whose key imports the data and asks the sample question."""


@contextmanager
def exclusive_lock(var: Path) -> Iterator[None]:
    """Lock the data folder: its database files must not be opened twice."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise servers.ServerError(
                f"The platform is already running with the data in {var}; stop it first."
            ) from None
        yield


def port_from_environment() -> int:
    """Return MH_PORT or 8080. Raises ServerError if it is invalid or in use."""
    text = os.environ.get("MH_PORT", "8080")
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise servers.ServerError(f"MH_PORT must be a port number from 1 to 65535, not {text!r}.")
    if servers.listens(int(text)):
        raise servers.ServerError(
            f"Port {text} is in use; stop the program that uses it, or choose another port: MH_PORT=8081 make run"
        )
    return int(text)


def auth_mode_from_environment() -> str:
    """Return AUTH_MODE, or open: only this machine reaches the platform. Raises ServerError if it is invalid."""
    mode = os.environ.get("AUTH_MODE") or access.OPEN
    if mode not in access.MODES:
        raise servers.ServerError(f"AUTH_MODE must be {' or '.join(access.MODES)}, not {mode!r}.")
    return mode


class Stack:
    """The running processes, in the order in which they were started.

    Attributes:
        api_key: an administrator's, once started with `auth_mode` required; kept in `api_key_file`. Else None.
        setup_token: for making the first administrator; None if there is one, or no accounts.
    """

    def __init__(self, var: Path, port: int, interrupts: Interrupts, auth_mode: str = access.OPEN) -> None:
        self.var = var
        self.api_key: str | None = None
        self.setup_token: str | None = None
        self.api_key_file = var / "api-key"
        self._auth_mode = auth_mode
        self._interrupts = interrupts
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._running: list[servers.Running] = []

    def start(self) -> None:
        """Start everything and return when it is ready. Raises ServerError."""
        redis_port, milvus_port, services_port = (servers.free_port() for _ in range(3))
        with self._interrupts.held():
            self._running.append(servers.start_redis(self.var / "redis", redis_port, keep=True))
            self._running.append(servers.start_milvus_lite(self.var / "milvus" / "embeddings.db", milvus_port))
        env = self._environment(redis_port, milvus_port, services_port)
        self._migrate(env)
        self._start("Index worker", env, *servers.worker_arguments(), "--beat")
        self._start("APIs", env, "-m", "mh_devtools.embedded.local_gateway", str(self._port), str(services_port))
        servers.wait_until(self._running[-1], self._ready, timeout=60)
        self.check()
        if self._auth_mode == access.REQUIRED:
            self._use_access(env)

    def _use_access(self, env: Mapping[str, str]) -> None:
        key = access.api_key(self.api_key_file, self.url, lambda: access.add_key(USERNAME, Role.ADMIN, env))
        self.api_key, self.setup_token = key, access.setup_token(self._setup_token_file, self.url, key)

    @property
    def _setup_token_file(self) -> Path:
        return self.var / "setup-token"

    def _environment(self, redis_port: int, milvus_port: int, services_port: int) -> dict[str, str]:
        # The processes act for whoever sends a request, not for who started them.
        own = {name: value for name, value in os.environ.items() if name != access.API_KEY}
        return {
            # The local model by default, not "auto": the first start must not need a key, and adding one later must
            # not switch the model, since an index cannot be searched with another.
            "EMBEDDING_PROVIDER": "local",
            "EMBEDDING_THREADS": servers.WORKER_THREADS,
            **own,
            **self._access(),
            "PYTHONUNBUFFERED": "1",
            "WORKER_EMBEDDING_CACHE": str(self.var / "embeddings.sqlite"),
            "DATABASE_URL": f"sqlite+aiosqlite:///{self.var / 'legacy_development.db'}",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "SEARCH_REDIS_URL": f"redis://127.0.0.1:{redis_port}/1",
            "MILVUS_URI": f"http://127.0.0.1:{milvus_port}",
            "CONVERSATIONS_URL": f"http://127.0.0.1:{services_port}",
            "RECONCILE_SCHEDULE_FILE": str(self.var / "beat"),
        }

    def _access(self) -> dict[str, str]:
        mode = {"AUTH_MODE": self._auth_mode}
        if self._auth_mode == access.OPEN:
            return mode
        key = access.service_key(self.var / "service-key")
        return {**mode, "MH_SERVICE_KEY": key, "AUTH_SETUP_TOKEN_FILE": str(self._setup_token_file)}

    def _start(self, name: str, env: Mapping[str, str], *arguments: str) -> None:
        log = self.var / "log" / f"{name.lower().replace(' ', '-')}.log"
        with self._interrupts.held():
            self._running.append(servers.start(name, [sys.executable, *arguments], log, env))

    @staticmethod
    def _migrate(env: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "alembic", "upgrade", "head"]
        done = subprocess.run(command, cwd=DATABASE_SERVICE, env=dict(env), capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise servers.ServerError(f"The database migration failed: {lines[-1]}")

    def _ready(self) -> bool:
        try:
            response = httpx.get(f"{self.url}/readyz", timeout=5)
        except httpx.HTTPError:
            return False
        return response.status_code == 200 or self.outdated(response)

    def outdated(self, response: httpx.Response | None = None) -> bool:
        """Return whether the index must be rebuilt because it is from another release or embedding model."""
        response = response or httpx.get(f"{self.url}/readyz", timeout=5)
        detail = response.json().get("dependencies", {}).get("milvus", {}).get("detail")
        return "mh index rebuild" in (detail or "")

    def check(self) -> None:
        """Raise ServerError if a process has exited."""
        for server in self._running:
            if ended := server.ended():
                raise servers.ServerError(f"{ended}. Everything was stopped; start it again with: make run")

    def stop(self) -> None:
        """Stop every process, in reverse order."""
        with self._interrupts.held():
            while self._running:
                self._running.pop().stop()
