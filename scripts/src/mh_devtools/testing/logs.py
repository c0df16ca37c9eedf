"""Reading what a service logs."""

import json
from pathlib import Path
from typing import Any

from mh_devtools.testing.waiting import wait_until


def json_lines(log: str) -> list[dict[str, Any]]:
    """Return the lines that are JSON objects; what other programs print among them, or half a line, is passed over."""
    whole = log[: log.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in whole if line.startswith("{")]


def wait_for_log(file: Path, text: str) -> None:
    """Hold up the thread until a process has written a text into its log.

    Raises:
        AssertionError: it did not within the limit of `wait_until`.
    """
    wait_until(lambda: text in file.read_text(encoding="utf-8"), what=f"{text} in {file.name}")
