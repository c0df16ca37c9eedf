"""From a process that has looked at its stores to gunicorn with as many workers as the machine can bear."""

import math
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from mh_common.settings import WebSettings

CGROUP: Final = Path("/sys/fs/cgroup")
WORKER_BYTES: Final = 320 * 1024**2
"""Memory that one worker process may want."""


def serve(application: str, settings: WebSettings) -> NoReturn:
    """Become gunicorn, serving `application` ("package.module:create_app()"). Does not return."""
    # gunicorn reads it as well, and fails with a trace where it is empty.
    os.environ.pop("WEB_CONCURRENCY", None)
    os.execv(sys.executable, [sys.executable, *gunicorn_arguments(application, settings)])  # noqa: S606 - there is no shell to want


def gunicorn_arguments(application: str, settings: WebSettings) -> list[str]:
    """Return the arguments that make Python gunicorn."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    options = {
        "config": "python:mh_common.web.gunicorn_conf",
        "bind": f"{host}:{settings.port}",
        "workers": settings.concurrency or default_concurrency(),
    }
    return ["-m", "gunicorn", *(f"--{name}={value}" for name, value in options.items()), application]


def default_concurrency(cgroup: Path = CGROUP) -> int:
    """Return how many workers fit: one a processor that this process may use, within the container's memory."""
    processors = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota = _limits(cgroup / "cpu.max")
    if len(quota) == 2:
        processors = min(processors, math.ceil(quota[0] / quota[1]))
    memory = _limits(cgroup / "memory.max")
    if memory:
        processors = min(processors, memory[0] // WORKER_BYTES)
    return max(1, int(processors))


def _limits(file: Path) -> list[int]:
    """Return the numbers in a file of the control group; none where it says "max" or there is no such file."""
    try:
        return [int(word) for word in file.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
