"""`make chaos RUNS=6 SEED=commit`: run the platform under faults; exits with 1 if a run finds a violation."""

import argparse
import asyncio
import logging
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from mh_devtools import servers
from mh_devtools.chaos.oracle import Verdict
from mh_devtools.chaos.plan import Kind, make_plan
from mh_devtools.chaos.run import Result, run
from mh_devtools.chaos.stack import DIMENSION, ChaosStack
from mh_devtools.stubs.openai_stub import StubOpenAI

LOGS: Final = Path("var/chaos")
FAILED_SEEDS: Final = Path(__file__).with_name("failed-seeds.txt")
COMMIT_SEED: Final = "commit"
"""As a seed: one derived from the commit, after all seeds that ever failed."""


def main() -> None:
    """Run the seeds one after another on one stack; stop at the first that fails."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="number of seeds to run")
    parser.add_argument(
        "--seed",
        default="1",
        help=f"the first seed; {COMMIT_SEED}: one derived from the commit, after all that ever failed",
    )
    parser.add_argument("--scale", type=float, default=0.2, help="factor for all times; with 1, faults last up to 30 s")
    arguments = parser.parse_args()
    # Exit as with Ctrl-C, so that no server keeps running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # The embedder's server would print a traceback for each client that is killed during a request.
    logging.getLogger("uvicorn.error").addFilter(lambda record: False)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, ExitStack() as resources:
        embedder = resources.enter_context(StubOpenAI.running(dimension=DIMENSION, bag_of_words=True))
        embedder.remember = False
        stack = resources.enter_context(ChaosStack(Path(folder), embedder))
        try:
            stack.start_all()
            for seed in seeds(arguments.seed, arguments.runs):
                plan = make_plan(seed, arguments.scale)
                began = time.monotonic()
                results.append(asyncio.run(run(plan, stack, embedder)))
                print(_line(results[-1], time.monotonic() - began), flush=True)
                if results[-1].violations:
                    break
        except servers.ServerError as error:
            sys.exit(str(error))
        print(table(results))
        failed = [result for result in results if result.violations]
        if failed:
            sys.exit(_failure(failed[0], stack, arguments.scale))


def seeds(first: str, runs: int) -> list[int]:
    """Return the seeds to run: `runs` consecutive ones from the first; for a commit, after all that ever failed.

    Raises:
        ValueError: the first seed is neither a number nor `COMMIT_SEED`.
    """
    if first != COMMIT_SEED:
        return list(range(int(first), int(first) + runs))
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True)
    drawn = int(commit[:8], 16)
    lines = FAILED_SEEDS.read_text(encoding="utf-8").splitlines()
    return [*(int(line.split()[0]) for line in lines if line[:1].isdigit()), *range(drawn, drawn + runs)]


def _line(result: Result, took: float) -> str:
    rest = "did not converge" if result.converged_in is None else f"converged in {result.converged_in:.1f} s"
    words = [f"seed {result.plan.seed}:", f"{len(result.plan.faults)} faults,"]
    words += [f"{result.counts['acknowledged']} writes acknowledged,", f"{result.counts['shown']} rows shown,", rest]
    return " ".join([*words, f"({took:.0f} s)", "FAILED" if result.violations else ""]).rstrip()


def table(results: Sequence[Result]) -> str:
    """Return a table of the results of all runs."""
    faults = Counter(fault.kind for result in results for fault in result.plan.faults)
    counts: Counter[str] = sum((result.counts for result in results), Counter())
    violations = Counter(verdict for result in results for verdict, _ in result.violations)
    times = [result.converged_in for result in results if result.converged_in is not None]
    ended = Counter(what for result in results for what in result.unexpected)
    rows: list[tuple[str, object]] = [("runs", len(results))]
    rows += [(f"fault: {kind}", faults[kind]) for kind in Kind]
    rows += [(f"ended by itself: {what}", number) for what, number in sorted(ended.items())]
    rows += [("writes acknowledged", counts["acknowledged"]), ("writes of unknown outcome", counts["unknown"])]
    rows += [("rows shown to readers", counts["shown"]), ("reads refused", counts["reads refused"])]
    rows += [(str(verdict), violations[verdict]) for verdict in Verdict]
    needed = sum(result.needed_reconciliation for result in results)
    rows.append(("runs that lost a job with a worker or Redis, found again", needed))
    if times:
        rows.append(("time to converge, p50 / max", f"{statistics.median(times):.1f} s / {max(times):.1f} s"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def _failure(result: Result, stack: ChaosStack, scale: float) -> str:
    """Save the logs; return what failed, where the logs are, and how to repeat the run."""
    folder = LOGS / f"seed-{result.plan.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for log in stack.folder.glob("*/*.log"):
        shutil.copy(log, folder / f"{log.parent.name}.log")
    findings = [f"{verdict}: {evidence}" for verdict, evidence in result.violations]
    plan = [f"Redis keeps its data: {result.plan.redis_keeps}", *map(str, result.plan.faults)]
    (folder / "run.txt").write_text("\n".join([*plan, *result.unexpected, *findings]) + "\n")
    command = f"make chaos RUNS=1 SEED={result.plan.seed} SCALE={scale:g}"
    advice = f"Add seed {result.plan.seed} to {FAILED_SEEDS.name}, so that it is run for every change."
    return "\n".join(["", *plan, "", *findings[:20], "", f"Logs: {folder}", f"To repeat the run: {command}", advice])


if __name__ == "__main__":
    main()
