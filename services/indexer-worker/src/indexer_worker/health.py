"""Health check of this machine's worker: `python -m indexer_worker.health`; of Celery beat: `… health beat`.

Prints the worker's last heartbeat as JSON, which includes the queue depth. Exits with 1 and one line on standard error
if the heartbeat is too old, or if jobs are waiting and the worker takes none.
"""

import sys

from mh_common.settings import load_settings

from indexer_worker.liveness.heartbeat import beat_problem, heartbeat_problem
from indexer_worker.settings import Settings


def main() -> None:
    """Run the check once."""
    settings = load_settings(Settings)
    beat = sys.argv[1:] == ["beat"]
    problem = beat_problem(settings.reconcile) if beat else heartbeat_problem(settings.worker.heartbeat_file)
    if problem:
        sys.exit(problem)


if __name__ == "__main__":
    main()
