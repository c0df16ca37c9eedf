"""Evaluates the quality of answers: `make eval-answers`.

Asks the platform at MH_URL, or else a temporary one on free ports with the sample data (or MH_DATASET), the questions
of the sample or those in EVAL_QUESTIONS. The temporary platform answers as the settings of the environment say: with a
language model given OPENAI_API_KEY (and OPENAI_BASE_URL, OPENAI_MODEL, LLM_DATA_EGRESS), with quotes without one. All
arguments are passed on to `mh eval-answers`.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mh_client import MHError

from mh_devtools import servers
from mh_devtools.paths import SAMPLE
from mh_devtools.search.evaluate import private_platform

QUESTIONS = SAMPLE / "answer-questions.jsonl"


def main() -> None:
    """Run `mh eval-answers` and exit with its exit code.

    Exits with 3, and one line on standard error, if the platform cannot be started.
    """
    questions = Path(os.environ.get("EVAL_QUESTIONS") or QUESTIONS)
    if url := os.environ.get("MH_URL"):
        sys.exit(evaluate(url, questions, sys.argv[1:]))
    try:
        with ExitStack() as cleanup:
            url = private_platform(cleanup)
            # Results would be saved in the temporary platform, which is deleted.
            code = evaluate(url, questions, ["--no-save", *sys.argv[1:]])
    except (servers.ServerError, MHError) as error:
        print(error, file=sys.stderr)
        code = 3
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def evaluate(url: str, questions: Path, arguments: Sequence[str]) -> int:
    """Run `mh eval-answers` on the platform at this URL; return its exit code."""
    command = [sys.executable, "-m", "mh_client.cli", "--url", url, "eval-answers", str(questions), *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    main()
