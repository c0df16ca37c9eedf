"""One server for all the processes of a test run: the first that asks starts it, and whoever began the run ends it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock

from mh_devtools.servers import Running, free_port

FOLDER_VARIABLE = "MH_TEST_SHARED"
"""Names the folder of the run's shared servers, to all processes of the run."""


def begin_run() -> None:
    """Make the folder of shared servers. To be called in the run's first process, before it starts others."""
    os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="mh-tests-")


def end_run() -> None:
    """End every shared server, and remove its data. To be called in the process that called `begin_run`."""
    folder = Path(os.environ.pop(FOLDER_VARIABLE))
    for note in folder.glob("*.started"):
        _, pid = note.read_text(encoding="ascii").split()
        # Its data is thrown away: it need not end well.
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(int(pid)).wait(10)
    shutil.rmtree(folder)


def port_of(name: str, start: Callable[[Path, int], Running]) -> int:
    """Return the port of the run's server of this name.

    Args:
        name: of the server, and of its folder.
        start: starts it in a folder, at a port, and returns once it can be used. Called in one process only.
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    note = folder / f"{name}.started"
    with FileLock(folder / f"{name}.lock"):
        if not note.exists():
            port = free_port()
            process = start(folder / name, port).process
            note.write_text(f"{port} {process.pid}", encoding="ascii")
            # Python warns of a process that is forgotten while it runs. This one is `end_run`'s to end.
            process.returncode = 0
        noted, _ = note.read_text(encoding="ascii").split()
    return int(noted)
