"""Bring poetry.lock and the hash-pinned exports in requirements/ in step with the pyproject.toml files.

`make lock` runs it; `make lint` runs it and fails when it changed a file. The exports let every machine and image
install with plain pip (`pip install --require-hashes --no-deps -r ...`), without Poetry.
"""

import os
import subprocess
import sys
from pathlib import Path

from mh_devtools.paths import ROOT

SERVICES = ("conversations-api", "indexer-worker", "rag-api")
RUN = (*SERVICES, "local-model", "client", "embedded")
EXPORTS: dict[str, tuple[str, ...]] = {
    **{service: (service,) for service in SERVICES},
    "rag-api-local-model": ("rag-api", "local-model"),
    "client": ("client",),
    "run": RUN,
    "dev": (*RUN, "test", "lint"),
    "audit": ("audit",),
}
PEERS = ROOT / "scripts/src/mh_devtools/bench/peers"
"""Locked apart: what the benchmarks compare with is no part of the platform."""


def pip_index() -> str:
    """Return the simple index that pip itself is set up to use."""
    configured = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    default = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    return configured or subprocess.check_output([sys.executable, "-c", default], text=True).strip()


def poetry(*arguments: str, project: Path = ROOT) -> str:
    """Run Poetry on a project and return what it printed."""
    environment = {"POETRY_PYPI_MIRROR_URL": pip_index(), **os.environ, "POETRY_VIRTUALENVS_CREATE": "false"}
    command = [sys.executable, "-m", "poetry", "--no-interaction", "--directory", str(project), *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def contents() -> dict[str, str]:
    """Return the text of the lock and of every export that exists."""
    exports = (ROOT / "requirements" / f"{name}.txt" for name in (*EXPORTS, "bench-peers"))
    files = [ROOT / "poetry.lock", PEERS / "poetry.lock", *exports]
    return {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files if file.exists()}


def write() -> None:
    """Lock, then write one export per deployable and one each for running and for development."""
    poetry("lock")
    poetry("lock", project=PEERS)
    for name, groups in EXPORTS.items():
        export(name, "--only", ",".join(groups))
    export("bench-peers", project=PEERS)


def export(name: str, *options: str, project: Path = ROOT) -> None:
    """Write the pins of a project, or of some of its groups, to requirements/NAME.txt."""
    lines = poetry("export", *options, "--format", "requirements.txt", project=project).splitlines(keepends=True)
    # Our own packages are installed from the tree, so their `-e file://` lines are left out.
    pins = "".join(line for line in lines if not line.startswith("-e "))
    (ROOT / "requirements" / f"{name}.txt").write_text(pins, encoding="utf-8")


def main() -> None:
    """Write the files; with --check fail when that changed one."""
    before = contents()
    write()
    changed = [name for name, text in contents().items() if before.get(name) != text]
    if changed and "--check" in sys.argv[1:]:
        sys.exit(f"Not up to date, and written anew; look at them and commit: {', '.join(changed)}")


if __name__ == "__main__":
    main()
