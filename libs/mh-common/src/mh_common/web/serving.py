"""Start Gunicorn with as many workers as the machine can run."""

import math
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from mh_common.settings import WebSettings

CGROUP: Final = Path("/sys/fs/cgroup")
WORKER_BYTES: Final = 320 * 1024**2
"""Memory that one worker process may need."""


def serve(application: str, settings: WebSettings) -> NoReturn:
    """Replace this process by Gunicorn, serving `application` ("package.module:create_app()"). Does not return."""
    # Gunicorn reads it too, and crashes if it is empty.
    os.environ.pop("WEB_CONCURRENCY", None)
    os.execv(sys.executable, [sys.executable, *gunicorn_arguments(application, settings)])  # noqa: S606 - no shell is wanted


def gunicorn_arguments(application: str, settings: WebSettings) -> list[str]:
    """Return the arguments to run Gunicorn with, for Python."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    options = {
        "config": "python:mh_common.web.gunicorn_conf",
        "bind": f"{host}:{settings.port}",
        "workers": settings.concurrency or default_concurrency(),
    }
    return ["-m", "gunicorn", *(f"--{name}={value}" for name, value in options.items()), application]


def default_concurrency(cgroup: Path = CGROUP) -> int:
    """Return one worker per CPU available to this process, limited by the container's memory."""
    processors = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota = _limits(cgroup / "cpu.max")
    if len(quota) == 2:
        processors = min(processors, math.ceil(quota[0] / quota[1]))
    memory = _limits(cgroup / "memory.max")
    if memory:
        processors = min(processors, memory[0] // WORKER_BYTES)
    return max(1, int(processors))


def _limits(file: Path) -> list[int]:
    """Return the numbers in a cgroup file; none if it says "max" or does not exist."""
    try:
        return [int(word) for word in file.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
