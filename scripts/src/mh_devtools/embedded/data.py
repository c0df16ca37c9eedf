"""Import data into the embedded stack, and wait until it is searchable."""

import os
import subprocess
import sys
import time

from mh_client import Client, IndexRunStatus, IndexStatus
from rich.console import Console

from mh_devtools import access, servers
from mh_devtools.embedded.local_stack import Stack
from mh_devtools.paths import SAMPLE

console = Console(highlight=False)


def import_data(stack: Stack, client: Client) -> None:
    """Import MH_DATASET, or else the sample, if the database is empty or an earlier import did not finish."""
    marker = stack.var / "import-unfinished"
    if client.conversations.stats().total and not marker.exists():
        return
    dataset = os.environ.get("MH_DATASET", str(SAMPLE / "conversations.csv"))
    again = [] if marker.exists() else ["--again"]
    marker.touch()
    command = [sys.executable, "-m", "mh_client.cli", "--url", stack.url, "import", dataset, "--wait", *again]
    # Keep the journals with the data, by name: the port may differ next time.
    command += ["--state-dir", str(stack.var / "imports"), "--platform", "embedded"]
    env = os.environ | ({access.API_KEY: stack.api_key} if stack.api_key else {})
    code = subprocess.run(command, env=env, check=False).returncode
    stack.check()
    # Code 1: imported, except for rejected rows, which the importer has reported.
    if code not in (0, 1):
        raise servers.ServerError(f"The import of {dataset} did not finish (exit code {code}); see its message above.")
    marker.unlink()


def sync_or_rebuild_index(stack: Stack, client: Client) -> None:
    """Rebuild the index if this release needs another one; otherwise queue the conversations it lacks.

    The files of the index or of the queue may have been deleted since the last start.
    """
    outdated = stack.outdated()
    reason = "The index is from another release or embedding model: rebuilding it"
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
    """Return when no conversation is pending in the index."""
    with console.status("Waiting until everything is searchable"):
        while client.conversations.stats().index_status[IndexStatus.PENDING]:
            stack.check()
            time.sleep(0.2)
