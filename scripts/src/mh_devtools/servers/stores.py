"""Private instances of the stores: Redis, MariaDB or MySQL, and Milvus Lite run as a server.

Each keeps its data in the directory it is given.
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
"""Where `mh_devtools.set_up` puts a fetched one in a virtual environment; its commands' folder may be on PATH."""
NO_REDIS = (
    "No redis-server on this machine, and `make run` needs one. Install it "
    "(Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)."
)

MYSQL_BINARIES = ("mariadbd", "mysqld")
MYSQL_IMAGE = "mysql:8.4"
REDIS_IMAGE = "redis:7.4"


@dataclass(frozen=True)
class MySQLProgram:
    """What starts a MariaDB or MySQL server: the command up to its options, and the options that this copy needs."""

    command: tuple[str | Path, ...]
    options: tuple[str, ...] = ()

    @property
    def is_mariadb(self) -> bool:
        """MariaDB comes with a program of its own that makes the data directory."""
        return Path(self.command[-1]).name == "mariadbd"


def find_redis(environment: Path = Path(sys.prefix)) -> str | None:
    """Return a redis-server binary: from PATH, else the one that was fetched into the virtual environment."""
    fetched = environment / FETCHED_REDIS
    return on_path("redis-server") or (str(fetched) if os.access(fetched, os.X_OK) else None)


def find_mysql() -> str | None:
    """Return a MariaDB or MySQL server binary from PATH."""
    return next((found for name in MYSQL_BINARIES if (found := on_path(name))), None)


def docker_answers() -> bool:
    """Say whether a Docker engine can be used from here."""
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
    """Start Redis. `keep`: its data outlives it (append-only file). Without a password it asks for none.

    With `everysec` Redis holds back for up to 2 s what it has acknowledged while the disk is busy.
    """
    binary = find_redis()
    if binary is None:
        raise ServerError(NO_REDIS)
    directory.mkdir(parents=True, exist_ok=True)
    persistence = ["--save", "", *(["--appendonly", "yes", "--appendfsync", "always"] if keep else [])]
    # In a file, since everybody sees the arguments of a process.
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
            "Milvus Lite is not installed, or has no binary for this platform; set MILVUS_URI to a server."
        )
    database.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "LD_LIBRARY_PATH": str(binary.parent), "DYLD_LIBRARY_PATH": str(binary.parent)}
    command: list[str | Path] = [binary, database, f"127.0.0.1:{port}", "ERROR"]
    server = start("Milvus Lite", command, database.parent / "milvus.log", env)
    wait_until(server, lambda: listens(port))
    return server


def start_mysql(directory: Path, port: int, *, durable: bool = False, program: MySQLProgram | None = None) -> Running:
    """Start a private MariaDB or MySQL; user root without password, loopback only. New unless `directory` has one.

    Without `durable` nothing is synced to disk at a commit: fit for tests, not for measuring. Without `program` it is
    the server found on PATH.
    """
    if program is None:
        binary = find_mysql()
        if binary is None:
            raise ServerError("No mariadbd or mysqld on this machine (Debian: apt-get install mariadb-server-core).")
        program = MySQLProgram((binary,))
    data, temporary = directory / "data", directory / "tmp"
    # Its own: at its start a server removes what it takes for its own left-overs there, and so those of others.
    temporary.mkdir(parents=True, exist_ok=True)
    run_as = [f"--tmpdir={temporary}", *(["--user=root"] if os.getuid() == 0 else [])]
    fast = [] if durable else ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"]
    if not data.exists():
        _initialise_mysql(program, data, run_as)
    options = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={directory}/mysql.sock"]
    options += [f"--pid-file={directory}/mysql.pid", "--max-connections=300", "--skip-log-bin", *fast, *run_as]
    # A bulk request of 64 MB travels as one statement.
    options.append("--max-allowed-packet=256M")
    command = [*program.command, "--no-defaults", *program.options, *options]
    server = start("MariaDB/MySQL", command, directory / "mysql.log")
    wait_until(server, lambda: listens(port))
    return server


def _initialise_mysql(program: MySQLProgram, data: Path, run_as: Sequence[str]) -> None:
    """Make the data directory of an empty server."""
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
        raise ServerError(f"The private database could not be set up: {done.stderr.strip()[-500:]}")


@contextmanager
def docker_server(image: str, port: int, inner_port: int, *options: str) -> Iterator[None]:
    """Run a server's image, reachable at this loopback port, and remove it afterwards."""
    publish = f"127.0.0.1:{port}:{inner_port}"
    command = ["docker", "run", "--rm", "--detach", "--publish", publish, *options, image]
    container = subprocess.check_output(command, text=True).strip()
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False)
