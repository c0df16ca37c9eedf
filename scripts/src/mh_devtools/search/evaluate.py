"""Measure what search finds: `make eval`.

Against the platform that MH_URL names; else against a private one on free ports, with the sample (or MH_DATASET) in a
folder of its own, which is gone afterwards. The queries are those of EVAL_QUERIES, else the sample's, whose figures may
not drop below the committed baseline. All arguments are passed on to `mh eval`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mh_client import Client, MHError

from mh_devtools import servers
from mh_devtools.embedded.data import import_data, wait_until_searchable
from mh_devtools.embedded.interrupts import Interrupts
from mh_devtools.embedded.local_stack import Stack
from mh_devtools.paths import SAMPLE

QUERIES = SAMPLE / "queries.jsonl"
BASELINE = SAMPLE / "eval-baseline.json"


def main() -> None:
    """Run `mh eval` and exit as it does; exit code 3, after one line on standard error, when nothing can be started."""
    queries = Path(os.environ.get("EVAL_QUERIES") or QUERIES)
    # The baseline is of the default configuration.
    default = not any(argument.startswith(("--mode", "--param")) for argument in sys.argv[1:])
    held = ["--baseline", str(BASELINE)] if default and queries.resolve() == QUERIES else []
    arguments = [str(queries), *held, *sys.argv[1:]]
    if url := os.environ.get("MH_URL"):
        sys.exit(evaluate(url, arguments))
    try:
        with ExitStack() as cleanup:
            url = private_platform(cleanup)
            # What would be kept goes with the platform.
            code = evaluate(url, ["--no-save", *arguments])
    except (servers.ServerError, MHError) as error:
        print(error, file=sys.stderr)
        code = 3
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def private_platform(cleanup: ExitStack) -> str:
    """Start the embedded stack and fill it; return its address once everything is searchable. Raises ServerError."""
    folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="mh-eval-"))
    stack = Stack(Path(folder), servers.free_port(), Interrupts())
    cleanup.callback(stack.stop)
    stack.start()
    with Client(stack.url, timeout=60) as client:
        import_data(stack, client)
        wait_until_searchable(stack, client)
    return stack.url


def evaluate(url: str, arguments: Sequence[str]) -> int:
    """Run `mh eval` on the platform at this address; return its exit code."""
    command = [sys.executable, "-m", "mh_client.cli", "--url", url, "eval", *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    main()
