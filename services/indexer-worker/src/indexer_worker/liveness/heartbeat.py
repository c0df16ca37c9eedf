"""The file in which a worker records its progress, and the health checks of the worker and of Celery beat."""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import structlog

from indexer_worker.liveness.queue_depth import QueueDepth
from indexer_worker.settings import ReconcileSettings

log = structlog.get_logger(__name__)

MAX_MISSED_HEARTBEATS: Final = 3
GRACE_S: Final = 15.0
"""Additional seconds allowed for a slow machine or a Redis that does not answer."""

MAX_MISSED_RUNS: Final = 2
BEAT_SYNC_S: Final = 200.0
"""Celery beat writes its file at most every 180 s."""


def write_heartbeat(file: Path, *, stalled: float, limit: float, pause: float, depth: QueueDepth | None) -> None:
    """Record the progress for `indexer_worker.health`. Replaces the file atomically, so it is never half-written."""
    heartbeat = {
        "at": time.time(),
        "stalled": stalled,
        "limit": limit,
        "pause": pause,
        "waiting": None if depth is None else depth.waiting,
        "taken": None if depth is None else depth.taken,
    }
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(heartbeat), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        # The health check reports that the file is outdated.
        log.warning("worker_heartbeat_not_written", error=type(error).__name__)


def heartbeat_problem(file: Path) -> str | None:
    """Return what is wrong, in one line; None if the worker is healthy. Prints its last heartbeat as JSON."""
    try:
        heartbeat: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"The worker has not written its heartbeat file {file} yet."
    print(json.dumps(heartbeat))
    age = time.time() - heartbeat["at"]
    if age > MAX_MISSED_HEARTBEATS * heartbeat["pause"] + GRACE_S:
        return f"The worker's last heartbeat is {age:.0f} s old."
    if heartbeat["stalled"] > heartbeat["limit"]:
        return f"The worker has made no progress for {heartbeat['stalled']:.0f} s although jobs are waiting."
    return None


def beat_problem(settings: ReconcileSettings) -> str | None:
    """Return what is wrong with Celery beat, in one line. Beat writes its schedule file at start and when it sends."""
    # Depending on Python's dbm implementation, the file name has a suffix.
    files = list(settings.schedule_file.parent.glob(f"{settings.schedule_file.name}*"))
    age = time.time() - max((file.stat().st_mtime for file in files), default=0.0)
    if age > MAX_MISSED_RUNS * settings.interval + BEAT_SYNC_S:
        return f"Celery beat has not updated its schedule file {settings.schedule_file} recently."
    return None
