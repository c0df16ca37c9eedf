"""Say whether this machine's worker makes progress: `python -m indexer_worker.health`, or its clock: `… health beat`.

Prints what the worker last noted, as JSON: the depth of the queue among it. Exit code 1, with one line on standard
error, when it notes nothing any more, or when jobs wait and it takes none.
"""

import sys

from mh_common.settings import load_settings

from indexer_worker.liveness.heartbeat import fault, fault_of_clock
from indexer_worker.settings import Settings


def main() -> None:
    """Look once."""
    settings = load_settings(Settings)
    clock = sys.argv[1:] == ["beat"]
    if message := fault_of_clock(settings.reconcile) if clock else fault(settings.worker.heartbeat_file):
        sys.exit(message)


if __name__ == "__main__":
    main()
