"""Say whether this machine's worker makes progress: `python -m indexer_worker.health`, or its clock: `… health beat`.

Prints what the worker last noted, as JSON: the depth of the queue among it. Exit code 1, with one line on standard
error, when it notes nothing any more, or when jobs wait and it takes none.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from mh_common.settings import load_settings

from indexer_worker.settings import ReconcileSettings, Settings

MISSED_LOOKS: Final = 3
PATIENCE_S: Final = 15.0
"""What a slow machine or a Redis that does not answer may add to each look."""

MISSED_TICKS: Final = 2
SYNC_S: Final = 200.0
"""Celery beat writes its file no more often than each 180 s."""


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


def main() -> None:
    """Look once."""
    settings = load_settings(Settings)
    clock = sys.argv[1:] == ["beat"]
    if message := fault_of_clock(settings.reconcile) if clock else fault(settings.worker.heartbeat_file):
        sys.exit(message)


if __name__ == "__main__":
    main()
