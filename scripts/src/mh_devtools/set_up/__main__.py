"""Install the pins in requirements/ into the virtual environments of this checkout, with one line per step or failure.

`make` runs it every time, with any supported Python; it does nothing if everything is up to date. pip's output goes to
a log file in the environment. Uses only the standard library, because nothing is installed yet; this package is found
by PYTHONPATH.
"""

import argparse
import fcntl
import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mh_devtools.paths import ROOT
from mh_devtools.set_up import redis_server
from mh_devtools.set_up.environments import Environment, SetUpError, say
from mh_devtools.set_up.steps import OWN_PACKAGES, REQUIREMENTS, dev_steps, peers_steps, run_steps


def fingerprint(environment: Environment, version: tuple[int, int] | None, files: list[Path]) -> str:
    """Return a hash that changes when the environment must be updated."""
    digest = hashlib.sha256(f"{environment.folder} {version}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def fill(environment: Environment, goal: str, *, asked_for: tuple[int, int] | None = None) -> None:
    """Create or update the environment for a goal: run, dev or peers."""
    steps, exports = {
        "run": (run_steps, ("run.txt", "local-model.txt")),
        "dev": (dev_steps, ("dev.txt",)),
        "peers": (peers_steps, ("bench-peers.txt",)),
    }[goal]
    files = [*(REQUIREMENTS / name for name in exports), *(OWN_PACKAGES if goal == "run" else [])]
    version = environment.version()
    there = environment.folder.exists()
    reason = environment.reason_to_recreate(version, asked_for) if there else None
    if reason:
        say(f"{environment.name} {reason}.")
    if reason or not there:
        environment.make()
        version = environment.version()
    stamp = environment.folder / f"{goal}.stamp"
    wanted = fingerprint(environment, version, files)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    stamp.unlink(missing_ok=True)
    environment.remove_partial_installs()
    environment.log.write_text("", encoding="utf-8")
    for step in steps():
        say(step.message)
        environment.pip(*step.arguments)
    stamp.write_text(wanted, encoding="utf-8")


@contextmanager
def alone() -> Iterator[None]:
    """Allow only one set-up of this checkout at a time."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up of this checkout to finish")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> None:
    """Parse the command line and set up. If a step fails, print what to do and exit with code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goal", choices=["run", "dev", "peers"])
    parser.add_argument("--this-python", action="store_true", help="recreate the environment if it uses another Python")
    arguments = parser.parse_args()
    asked_for = (sys.version_info[0], sys.version_info[1]) if arguments.this_python else None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with alone():
            if arguments.goal == "peers":
                fill(Environment(ROOT / ".venv-peers"), "peers", asked_for=asked_for)
                return
            environment = Environment(ROOT / ".venv")
            redis_server.remind(environment)
            fill(environment, "run", asked_for=asked_for)
            redis_server.fetch(environment)
            if arguments.goal == "dev":
                fill(environment, "dev")
    except SetUpError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to continue.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
