"""Read the logs of a service."""

import json
from pathlib import Path
from typing import Any

from mh_devtools.testing.waiting import wait_until


def json_lines(log: str) -> list[dict[str, Any]]:
    """Return the lines that are JSON objects; other programs' output and an incomplete last line are ignored."""
    whole = log[: log.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in whole if line.startswith("{")]


def wait_for_log(file: Path, text: str) -> None:
    """Block until a process has logged a text.

    Raises:
        AssertionError: it was not logged within the default timeout of `wait_until`.
    """
    wait_until(lambda: text in file.read_text(encoding="utf-8"), what=f"{text} in {file.name}")
