"""Say whether this machine's worker makes progress: `python -m indexer_worker.health`.

Prints what the worker last noted, as JSON: the depth of the queue among it. Exit code 1, with one line on standard
error, when it notes nothing any more, or when jobs wait and it takes none.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from mh_common.settings import load_settings

from indexer_worker.settings import Settings

MISSED_LOOKS: Final = 3
PATIENCE_S: Final = 15.0
"""What a slow machine or a Redis that does not answer may add to each look."""


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


def main() -> None:
    """Look once."""
    if message := fault(load_settings(Settings).worker.heartbeat_file):
        sys.exit(message)


if __name__ == "__main__":
    main()
