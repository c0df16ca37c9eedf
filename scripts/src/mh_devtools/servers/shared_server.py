"""Servers shared by all processes of a test run: started on first use, stopped by the process that began the run."""

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
"""Environment variable with the folder of the run's shared servers."""


def begin_run() -> None:
    """Create the folder for shared servers. Call this in the run's first process, before it starts others."""
    os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="mh-tests-")


def end_run() -> None:
    """Stop every shared server and delete its data. Call this in the process that called `begin_run`."""
    folder = Path(os.environ.pop(FOLDER_VARIABLE))
    for note in folder.glob("*.started"):
        _, pid = note.read_text(encoding="ascii").split()
        # Its data is deleted anyway, so it need not shut down cleanly.
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(int(pid)).wait(10)
    shutil.rmtree(folder)


def port_of(name: str, start: Callable[[Path, int], Running]) -> int:
    """Return the port of the run's server with this name.

    Args:
        name: of the server and of its folder.
        start: starts it in a folder, on a port, and returns once it is ready. Called in one process only.
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    note = folder / f"{name}.started"
    with FileLock(folder / f"{name}.lock"):
        if not note.exists():
            port = free_port()
            process = start(folder / name, port).process
            note.write_text(f"{port} {process.pid}", encoding="ascii")
            # Suppress Python's warning about a running child process: `end_run` stops this one.
            process.returncode = 0
        noted, _ = note.read_text(encoding="ascii").split()
    return int(noted)
