"""What a worker notes of its progress in a file, and what that says; and the same of its clock, Celery beat."""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import structlog

from indexer_worker.liveness.queue_depth import QueueDepth
from indexer_worker.settings import ReconcileSettings

log = structlog.get_logger(__name__)

MISSED_LOOKS: Final = 3
PATIENCE_S: Final = 15.0
"""What a slow machine or a Redis that does not answer may add to each look."""

MISSED_TICKS: Final = 2
SYNC_S: Final = 200.0
"""Celery beat writes its file no more often than each 180 s."""


def write_heartbeat(file: Path, *, stalled: float, limit: float, pause: float, depth: QueueDepth | None) -> None:
    """Leave word of the progress for `indexer_worker.health`; a file that is half written is never seen."""
    word = {
        "at": time.time(),
        "stalled": stalled,
        "limit": limit,
        "pause": pause,
        "waiting": None if depth is None else depth.waiting,
        "taken": None if depth is None else depth.taken,
    }
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps(word), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        # The health command finds an old file and says so.
        log.warning("worker_heartbeat_not_written", error=type(error).__name__)


def fault(file: Path) -> str | None:
    """Return what is wrong, in one line; None when the worker is well. Prints its last word."""
    try:
        word: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"The worker has not noted any progress in {file} yet."
    print(json.dumps(word))
    age = time.time() - word["at"]
    if age > MISSED_LOOKS * word["pause"] + PATIENCE_S:
        return f"The worker noted nothing for {age:.0f} s."
    if word["stalled"] > word["limit"]:
        return f"The worker made no progress for {word['stalled']:.0f} s although jobs wait."
    return None


def fault_of_clock(settings: ReconcileSettings) -> str | None:
    """Return what is wrong with beat, in one line: it writes its file when it starts and when it sends."""
    # Some of Python's database files have an ending.
    files = list(settings.schedule_file.parent.glob(f"{settings.schedule_file.name}*"))
    age = time.time() - max((file.stat().st_mtime for file in files), default=0.0)
    if age > MISSED_TICKS * settings.interval + SYNC_S:
        return f"The clock has not noted in {settings.schedule_file} that it sent anything."
    return None
