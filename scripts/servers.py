"""Private instances of the stores on this machine: Redis, MariaDB or MySQL, and Milvus Lite run as a server.

Each listens on loopback only, on its own port, and keeps its data in the directory it is given. The embedded stack and
the tests start their servers here. As a command (`python scripts/servers.py`) it makes sure that the servers which the
tests need are on this machine: found on PATH, else installed through apt (root on Debian); Docker can stand in for the
stores.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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

FETCHED_REDIS = Path("redis", "redis-server")
"""Where `scripts/set_up.py` puts a fetched one in a virtual environment; its commands' folder may be on PATH."""
NO_REDIS = (
    "No redis-server on this machine, and `make run` needs one. Install it "
    "(Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)."
)

MYSQL_BINARIES = ("mariadbd", "mysqld")
MYSQL_IMAGE = "mysql:8.4"
REDIS_IMAGE = "redis:7.4"
# Debian keeps servers where an ordinary user's PATH does not look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


class ServerError(Exception):
    """A server is missing, does not start, or ended. The message says what to do."""


@dataclass(frozen=True)
class MySQLProgram:
    """What starts a MariaDB or MySQL server: the command up to its options, and the options that this copy needs."""

    command: tuple[str | Path, ...]
    options: tuple[str, ...] = ()

    @property
    def is_mariadb(self) -> bool:
        """MariaDB comes with a program of its own that makes the data directory."""
        return Path(self.command[-1]).name == "mariadbd"


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


def _on_path(binary: str) -> str | None:
    return shutil.which(binary, path=SEARCH_PATH)


def find_redis(environment: Path = Path(sys.prefix)) -> str | None:
    """Return a redis-server binary: from PATH, else the one that was fetched into the virtual environment."""
    fetched = environment / FETCHED_REDIS
    return _on_path("redis-server") or (str(fetched) if os.access(fetched, os.X_OK) else None)


def find_mysql() -> str | None:
    """Return a MariaDB or MySQL server binary from PATH."""
    return next((found for name in MYSQL_BINARIES if (found := _on_path(name))), None)


def find_promtool() -> str | None:
    """Return the tool that checks Prometheus's files, from PATH."""
    return _on_path("promtool")


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
        installer = _on_path("mariadb-install-db") or "mariadb-install-db"
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


def _install_with_apt() -> None:
    """Install the missing servers where this is Debian (or its kin) and we are root."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return
    packages = [] if find_mysql() else ["mariadb-server-core", "mariadb-client-core"]
    packages += [] if _on_path("redis-server") else ["redis-server"]
    packages += [] if _on_path("nginx") else ["nginx-light"]
    packages += [] if _on_path("chromedriver") else ["chromium", "chromium-driver"]
    packages += [] if find_promtool() else ["prometheus"]
    # RUNLEVEL=1 keeps the packages from starting services of their own: only private instances are wanted.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    print(f"Installing {', '.join(packages)} through apt for the tests ...", flush=True)
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *command], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip()[-500:], file=sys.stderr)
            return


def ensure() -> list[str]:
    """Make the tests' servers available; return the names of those that could not be had."""
    if not (find_mysql() and all(_on_path(name) for name in ("redis-server", "nginx", "chromedriver", "promtool"))):
        _install_with_apt()
    stores = {"MariaDB or MySQL": find_mysql(), "Redis": find_redis()}
    others = {
        "nginx": _on_path("nginx"),
        "Chromium with its driver": _on_path("chromedriver"),
        "promtool": find_promtool(),
    }
    # Docker stands in for the stores.
    needed = others if None in stores.values() and docker_answers() else stores | others
    return [name for name, binary in needed.items() if binary is None]


def main() -> None:
    """Report what is missing; with CI=true that is a failure."""
    missing = ensure()
    for name in missing:
        print(f"{name} is missing: the tests that need it will not run.", file=sys.stderr)
    if missing and os.environ.get("CI") == "true":
        sys.exit("CI=true: every server must be there.")


if __name__ == "__main__":
    main()
