"""Private instances of the stores: Redis, MariaDB or MySQL, and Milvus Lite as a server.

Each keeps its data in the given directory.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mh_devtools.servers.processes import Running, ServerError, listens, on_path, start, wait_until

FETCHED_REDIS = Path("redis", "redis-server")
"""Path of a fetched redis-server in a virtual environment; not in bin, which may be on PATH."""
NO_REDIS = (
    "redis-server is not installed, and `make run` needs it. Install it "
    "(Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)."
)

MYSQL_BINARIES = ("mariadbd", "mysqld")
MYSQL_IMAGE = "mysql:8.4"
REDIS_IMAGE = "redis:7.4"


@dataclass(frozen=True)
class MySQLProgram:
    """How to start a MariaDB or MySQL server: the command, and the options that this installation needs."""

    command: tuple[str | Path, ...]
    options: tuple[str, ...] = ()

    @property
    def is_mariadb(self) -> bool:
        """Whether it is MariaDB, which has a separate program that initialises the data directory."""
        return Path(self.command[-1]).name == "mariadbd"


def find_redis(environment: Path = Path(sys.prefix)) -> str | None:
    """Return a redis-server binary: from PATH, else the one fetched into the virtual environment."""
    fetched = environment / FETCHED_REDIS
    return on_path("redis-server") or (str(fetched) if os.access(fetched, os.X_OK) else None)


def find_mysql() -> str | None:
    """Return a MariaDB or MySQL server binary from PATH."""
    return next((found for name in MYSQL_BINARIES if (found := on_path(name))), None)


def docker_is_available() -> bool:
    """Return whether a Docker engine is available."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20).returncode == 0


def _package_file(package: str, *parts: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0], *parts)
    return path if path.exists() else None


def start_redis(directory: Path, port: int, *, keep: bool = False, password: str = "") -> Running:
    """Start Redis. `keep`: persist its data (append-only file). Without `password` there is no authentication.

    The file is synced on every write: with `everysec`, Redis delays writes it has acknowledged for up to 2 s while the
    disk is busy.
    """
    binary = find_redis()
    if binary is None:
        raise ServerError(NO_REDIS)
    directory.mkdir(parents=True, exist_ok=True)
    persistence = ["--save", "", *(["--appendonly", "yes", "--appendfsync", "always"] if keep else [])]
    # In a file, because other users can see the arguments of a process.
    config = directory / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(f'requirepass "{password}"\n' if password else "", encoding="utf-8")
    options: list[str | Path] = ["--bind", "127.0.0.1", "--port", str(port), "--dir", directory, *persistence]
    server = start("Redis", [binary, config, *options], directory / "redis.log")
    wait_until(server, lambda: _redis_answers(port))
    return server


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def start_milvus_lite(database: Path, port: int) -> Running:
    """Start Milvus Lite as a server: one owner of the file, any number of clients at http://127.0.0.1:PORT."""
    binary = _package_file("milvus_lite", "lib", "milvus")
    if binary is None:
        raise ServerError(
            "Milvus Lite is not installed, or has no binary for this platform; set MILVUS_URI to a Milvus server."
        )
    database.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "LD_LIBRARY_PATH": str(binary.parent), "DYLD_LIBRARY_PATH": str(binary.parent)}
    command: list[str | Path] = [binary, database, f"127.0.0.1:{port}", "ERROR"]
    server = start("Milvus Lite", command, database.parent / "milvus.log", env)
    wait_until(server, lambda: listens(port))
    return server


def start_mysql(directory: Path, port: int, *, durable: bool = False, program: MySQLProgram | None = None) -> Running:
    """Start a private MariaDB or MySQL; user root without password, loopback only. Existing data is kept.

    Without `durable`, commits are not synced to disk, which is fine for tests but not for benchmarks. Without
    `program`, the server on PATH is used.
    """
    if program is None:
        binary = find_mysql()
        if binary is None:
            raise ServerError("Neither mariadbd nor mysqld is installed (Debian: apt-get install mariadb-server-core).")
        program = MySQLProgram((binary,))
    data, temporary = directory / "data", directory / "tmp"
    # A private one: at startup a server deletes temporary files there, also those of other servers.
    temporary.mkdir(parents=True, exist_ok=True)
    run_as = [f"--tmpdir={temporary}", *(["--user=root"] if os.getuid() == 0 else [])]
    fast = [] if durable else ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"]
    if not data.exists():
        _initialise_mysql(program, data, run_as)
    options = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={directory}/mysql.sock"]
    options += [f"--pid-file={directory}/mysql.pid", "--max-connections=300", "--skip-log-bin", *fast, *run_as]
    # A bulk request of 64 MB is sent as one statement.
    options.append("--max-allowed-packet=256M")
    command = [*program.command, "--no-defaults", *program.options, *options]
    server = start("MariaDB/MySQL", command, directory / "mysql.log")
    wait_until(server, lambda: listens(port))
    return server


def _initialise_mysql(program: MySQLProgram, data: Path, run_as: Sequence[str]) -> None:
    """Initialise the data directory of an empty server."""
    if program.is_mariadb:
        installer = on_path("mariadb-install-db") or "mariadb-install-db"
        initialise = [installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        initialise += ["--skip-test-db", *run_as]
    else:
        command = [*(str(part) for part in program.command), "--no-defaults", *program.options]
        initialise = [*command, "--initialize-insecure", f"--datadir={data}", *run_as]
    data.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(initialise, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"The private database could not be initialised: {done.stderr.strip()[-500:]}")


@contextmanager
def docker_server(image: str, port: int, inner_port: int, *options: str) -> Iterator[None]:
    """Run a server in Docker on this loopback port, and remove the container afterwards."""
    publish = f"127.0.0.1:{port}:{inner_port}"
    command = ["docker", "run", "--rm", "--detach", "--publish", publish, *options, image]
    container = subprocess.check_output(command, text=True).strip()
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False)
