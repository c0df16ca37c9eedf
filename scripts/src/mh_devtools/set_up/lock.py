"""Update poetry.lock and the hash-pinned exports in requirements/ from the pyproject.toml files.

`make lock` runs it; `make lint` runs it and fails if a file changed. With the exports, every machine and image installs
with plain pip (`pip install --require-hashes --no-deps -r ...`), without Poetry.
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
"""Locked separately: the programs that the benchmarks compare with are not part of the platform."""


def pip_index() -> str:
    """Return the package index that pip is configured to use."""
    configured = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    default = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    return configured or subprocess.check_output([sys.executable, "-c", default], text=True).strip()


def poetry(*arguments: str, project: Path = ROOT) -> str:
    """Run Poetry on a project and return its output."""
    environment = {"POETRY_PYPI_MIRROR_URL": pip_index(), **os.environ, "POETRY_VIRTUALENVS_CREATE": "false"}
    command = [sys.executable, "-m", "poetry", "--no-interaction", "--directory", str(project), *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def contents() -> dict[str, str]:
    """Return the text of the locks and of every existing export."""
    exports = (ROOT / "requirements" / f"{name}.txt" for name in (*EXPORTS, "bench-peers"))
    files = [ROOT / "poetry.lock", PEERS / "poetry.lock", *exports]
    return {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files if file.exists()}


def write() -> None:
    """Lock, then write an export per deployable, and one each for running and developing the platform."""
    poetry("lock")
    poetry("lock", project=PEERS)
    for name, groups in EXPORTS.items():
        export(name, "--only", ",".join(groups))
    export("bench-peers", project=PEERS)


def export(name: str, *options: str, project: Path = ROOT) -> None:
    """Write the pins of a project, or of some of its groups, to requirements/NAME.txt."""
    lines = poetry("export", *options, "--format", "requirements.txt", project=project).splitlines(keepends=True)
    # Our own packages are installed from the checkout, so their `-e file://` lines are omitted.
    pins = "".join(line for line in lines if not line.startswith("-e "))
    (ROOT / "requirements" / f"{name}.txt").write_text(pins, encoding="utf-8")


def main() -> None:
    """Write the files; with --check, fail if one changed."""
    before = contents()
    write()
    changed = [name for name, text in contents().items() if before.get(name) != text]
    if changed and "--check" in sys.argv[1:]:
        sys.exit(f"These files were out of date and have been rewritten; review and commit them: {', '.join(changed)}")


if __name__ == "__main__":
    main()
