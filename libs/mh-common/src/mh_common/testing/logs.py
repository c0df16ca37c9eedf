"""Reading what a service logs."""

import json
from typing import Any


def json_lines(log: str) -> list[dict[str, Any]]:
    """Return the lines that are JSON objects; what other programs print among them is passed over."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]
