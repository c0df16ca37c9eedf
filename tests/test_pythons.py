"""Every supported Python has wheels of everything, and runs the demo on a machine with only Python and make."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from mh_devtools import servers
from mh_devtools.servers import debian_unstable, python314
from mh_devtools.set_up import check_wheels

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = [f"{major}.{minor}" for major, minor in check_wheels.PYTHONS]
TOOLS = ("bash", "env", "make", "sh")


def find_python(version: str) -> str | None:
    """Return a Python of this version: from PATH or pyenv; 3.14 is fetched if available."""
    name = f"python{version}"
    on_path = shutil.which(name)
    candidates = [
        *([on_path] if on_path else []),
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}")),
    ]
    for candidate in candidates:
        # pyenv's commands on PATH are scripts around the Python itself, and some stand for none.
        ask = [candidate, "-c", "import sys; print(sys.executable)"]
        done = subprocess.run(ask, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    if version == "3.14":
        try:
            debian_unstable.fetch(python314.PACKAGE, with_dependencies=True)
        except debian_unstable.UnavailableError:
            return None
        return str(python314.find())
    return None


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tracked and untracked files of this checkout, without ignored ones."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        # A deleted file is in git's list until the deletion is committed.
        if (ROOT / name).exists():
            copy = tmp_path / "tree" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    return tmp_path / "tree"


@pytest.mark.slow
@pytest.mark.installs
@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_demo_runs_on_a_machine_with_nothing_but_python_and_make(version: str, tree: Path, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    # From the user's environment only how to reach the package index.
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_", "HTTPS_", "HOME"))}
    environment = {**kept, "PATH": str(tools), "MH_PORT": str(servers.free_port())}
    command = ["make", "demo", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Creating .venv with Python {version}." in done.stdout
    assert "model: extractive" in done.stdout
    assert "[1] conversation" in done.stdout
    # How far the import is, and nothing else.
    assert {line.split(":")[0] for line in done.stderr.splitlines()} == {"conversations.csv", "search index"}
    assert "WARNING" not in done.stdout


@pytest.mark.parametrize("export", ["run", "dev", "bench-peers"])
def test_every_pin_has_a_wheel_for_each_supported_python_and_platform(export: str) -> None:
    missing = list(check_wheels.missing(export, check_wheels.locked_files()))
    assert [str(one) for one in missing if not one.known] == []
    # `make run` compiles nothing where it is supported.
    assert export != "run" or {one.platform for one in missing} <= {check_wheels.INTEL_MAC}


def test_what_is_known_to_be_missing_still_is() -> None:
    files = check_wheels.locked_files()
    missing = {(one.pin.split("==")[0], one.platform) for one in check_wheels.missing("dev", files)}
    assert set(check_wheels.KNOWN) == missing


def test_the_same_pythons_are_named_everywhere() -> None:
    oldest, newest = VERSIONS[0], VERSIONS[-1]
    after = f"3.{int(newest.split('.')[1]) + 1}"
    for place in (ROOT / "pyproject.toml", ROOT / "scripts/src/mh_devtools/bench/peers/pyproject.toml"):
        project = tomllib.loads(place.read_text(encoding="utf-8"))["project"]
        assert project["requires-python"] == f">={oldest},<{after}"
    for library in ("mh-common", "mh-client"):
        project = tomllib.loads((ROOT / "libs" / library / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        named = [line.split(" :: ")[-1] for line in project["classifiers"] if "Python :: 3." in line]
        assert named == VERSIONS
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [f"python{version}" for version in VERSIONS] == re.findall(
        r"python3\.\d+", makefile.split("PYTHONS := ")[1]
    )[: len(VERSIONS)]
    assert f"not ({oldest.replace('.', ', ')}) <= sys.version_info[:2] <= ({newest.replace('.', ', ')})" in makefile
    assert f"Python {oldest} to {newest}" in (ROOT / "README.md").read_text(encoding="utf-8")
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert f'python: ["{oldest}", "{newest}"]' in workflow
