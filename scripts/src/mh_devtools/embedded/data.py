"""What the embedded stack is filled with, and when all of it is searchable."""

import os
import subprocess
import sys
import time

from mh_client import Client, IndexRunStatus, IndexStatus
from rich.console import Console

from mh_devtools import servers
from mh_devtools.embedded.local_stack import Stack
from mh_devtools.paths import SAMPLE

console = Console(highlight=False)


def import_data(stack: Stack, client: Client) -> None:
    """Import MH_DATASET, else the sample, when the database is empty or an import was not finished."""
    marker = stack.var / "import-unfinished"
    if client.conversations.stats().total and not marker.exists():
        return
    dataset = os.environ.get("MH_DATASET", str(SAMPLE / "conversations.csv"))
    again = [] if marker.exists() else ["--again"]
    marker.touch()
    command = [sys.executable, "-m", "mh_client.cli", "--url", stack.url, "import", dataset, "--wait", *again]
    # The journals are beside the data that they tell of, which may be at another port the next time.
    command += ["--state-dir", str(stack.var / "imports"), "--platform", "embedded"]
    code = subprocess.run(command, check=False).returncode
    stack.check()
    # Code 1: imported but for the rejected rows, which the importer has named.
    if code not in (0, 1):
        raise servers.ServerError(f"The import of {dataset} did not finish (exit code {code}); it said why above.")
    marker.unlink()


def renew_index(stack: Stack, client: Client) -> None:
    """Build the index anew when it is not the one that this release needs; else queue what it lost.

    Its file, or the queue's, may have been deleted since the last start.
    """
    outdated = stack.outdated()
    reason = "The index is of another release or embedding model: building it anew"
    doing = reason if outdated else "Comparing the index with the conversations"
    with console.status(doing):
        run = client.index.rebuild() if outdated else client.index.sync()
        while run.status in (IndexRunStatus.QUEUED, IndexRunStatus.RUNNING):
            stack.check()
            time.sleep(0.1)
            run = client.index.run(run.id)
    if run.status is not IndexRunStatus.DONE:
        raise servers.ServerError(f"The index could not be brought up to date: {run.reason}")


def wait_until_searchable(stack: Stack, client: Client) -> None:
    """Return when no conversation waits for the index."""
    with console.status("Waiting until everything is searchable"):
        while client.conversations.stats().index_status[IndexStatus.PENDING]:
            stack.check()
            time.sleep(0.2)
