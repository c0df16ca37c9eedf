"""The environment of a measurement: machine, versions and commit."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from mh_devtools import servers
from mh_devtools.bench.peers.chroma import ENVIRONMENT
from mh_devtools.paths import ROOT

_PACKAGES = (
    *("fastapi", "starlette", "pydantic", "uvicorn", "gunicorn", "sqlalchemy", "aiomysql", "pymysql", "httpx"),
    *("celery", "redis", "pymilvus", "milvus-lite", "onnxruntime", "tokenizers", "openai", "numpy"),
)

_CHROMA = "import importlib.metadata; print(importlib.metadata.version('chromadb'))"


def machine() -> dict[str, str | int | float]:
    """Return a description of the machine."""
    return {
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of the software that affects the figures."""
    return {
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "MariaDB or MySQL": _answer([servers.find_mysql() or "mariadbd", "--version"]),
        "Redis": _answer([servers.find_redis() or "redis-server", "--version"]),
        # The version of its command is a different one.
        "Chroma": _answer([str(ENVIRONMENT / "bin" / "python"), "-c", _CHROMA]),
    }


def _answer(command: Sequence[str]) -> str:
    try:
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return "absent"
    found = re.search(r"\d+\.\d+[\w.-]*", printed)
    return found[0] if found else printed.strip()


def commit() -> dict[str, str | bool]:
    """Return the checked-out commit, and whether the working tree differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return {"id": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--untracked-files=no"))}


if __name__ == "__main__":
    print(json.dumps({"machine": machine(), "versions": versions(), "commit": commit()}, indent=2))
