"""Evaluates the quality of search: `make eval`.

Evaluates the platform at MH_URL, or else a temporary one on free ports with the sample data (or MH_DATASET). The
queries are those in EVAL_QUERIES, or else two files of the sample: the short queries and the first half of the
counselors' questions. The metrics of these two must not drop below their committed baselines, of which each embedding
model has its own; MODEL=quality sets up and uses the larger one. All arguments are passed on to `mh eval`, which is run
once for each file. With the two files of the sample it also checks which queries on and off topic the threshold of
relevance takes for what they are not.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mh_client import Client, MHError
from mh_common.embeddings.local_models import MINILM, MPNET

from mh_devtools import servers
from mh_devtools.embedded.data import import_data, wait_until_searchable
from mh_devtools.embedded.interrupts import Interrupts
from mh_devtools.embedded.local_stack import Stack
from mh_devtools.paths import SAMPLE
from mh_devtools.search import relevance
from mh_devtools.set_up import quality_model

QUERIES = (SAMPLE / "queries.jsonl", SAMPLE / "counselor-dev.jsonl")
"""The files of queries that are run by default."""
BASELINES = {
    (MINILM.name, "queries.jsonl"): SAMPLE / "eval-baseline.json",
    (MINILM.name, "counselor-dev.jsonl"): SAMPLE / "counselor-dev-baseline.json",
    (MPNET.name, "queries.jsonl"): SAMPLE / "eval-baseline-mpnet.json",
    (MPNET.name, "counselor-dev.jsonl"): SAMPLE / "counselor-dev-baseline-mpnet.json",
}
"""The baseline of each of them by embedding model."""


def main() -> None:
    """Run `mh eval` for each file and exit with its highest exit code.

    Exits with 3, and one line on standard error, if the platform cannot be started or reached, or the model cannot be
    set up.
    """
    named = os.environ.get("EVAL_QUERIES")
    files = [Path(named)] if named else list(QUERIES)
    try:
        if url := os.environ.get("MH_URL"):
            sys.exit(evaluate(url, files, sys.argv[1:]))
        quality_model.select(os.environ.get("MODEL", ""))
        with ExitStack() as cleanup:
            url = private_platform(cleanup)
            # Results would be saved in the temporary platform, which is deleted.
            code = evaluate(url, files, ["--no-save", *sys.argv[1:]])
    except (servers.ServerError, MHError, quality_model.UnavailableError) as error:
        print(error, file=sys.stderr)
        code = 3
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def private_platform(cleanup: ExitStack) -> str:
    """Start the embedded stack and import the data; return its URL once all is searchable. Raises ServerError."""
    folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mh-eval-"))
    stack = Stack(Path(folder), servers.free_port(), Interrupts())
    cleanup.callback(stack.stop)
    stack.start()
    with Client(stack.url, timeout=60) as client:
        import_data(stack, client)
        wait_until_searchable(stack, client)
    return stack.url


def evaluate(url: str, files: Sequence[Path], arguments: Sequence[str]) -> int:
    """Run `mh eval` for each file on the platform at this URL; return the highest exit code. Raises MHError."""
    # The baselines are for the default configuration.
    default = not any(argument.startswith(("--mode", "--param")) for argument in arguments)
    with Client(url, timeout=60) as client:
        model = client.about().embedding.name
    codes = []
    for place, file in enumerate(files):
        if place:
            print(flush=True)
        baseline = BASELINES.get((model, file.name)) if default and file.resolve() in QUERIES else None
        held = ["--baseline", str(baseline)] if baseline else []
        command = [sys.executable, "-m", "mh_client.cli", "--url", url, "eval", str(file), *held, *arguments]
        codes.append(subprocess.run(command, check=False).returncode)
    if default and list(files) == list(QUERIES):
        print(flush=True)
        codes.append(relevance.check(url, write="--write-baseline" in arguments))
    return max(codes)


if __name__ == "__main__":
    main()
