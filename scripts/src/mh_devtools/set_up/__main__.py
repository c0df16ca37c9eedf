"""Fill the virtual environments of this checkout from the pins in requirements/: one line a step, and one a failure.

`make` runs it each time, with any supported Python; it does nothing where everything is as pinned. What pip says goes
into a log file beside what it installs. Only the standard library: nothing else is there yet,
and this package is found by PYTHONPATH.
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
    """Return what changes when the environment has to be filled again."""
    digest = hashlib.sha256(f"{environment.folder} {version}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def fill(environment: Environment, goal: str, *, asked_for: tuple[int, int] | None = None) -> None:
    """Bring the environment to what a goal needs: run, dev or peers."""
    steps, exports = {
        "run": (run_steps, ("run.txt", "local-model.txt")),
        "dev": (dev_steps, ("dev.txt",)),
        "peers": (peers_steps, ("bench-peers.txt",)),
    }[goal]
    files = [*(REQUIREMENTS / name for name in exports), *(OWN_PACKAGES if goal == "run" else [])]
    version = environment.version()
    there = environment.folder.exists()
    reason = environment.why_anew(version, asked_for) if there else None
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
    environment.drop_half_installed()
    environment.log.write_text("", encoding="utf-8")
    for step in steps():
        say(step.says)
        environment.pip(*step.arguments)
    stamp.write_text(wanted, encoding="utf-8")


@contextmanager
def alone() -> Iterator[None]:
    """Let one set-up of this checkout run at a time."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another set-up of this checkout")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> None:
    """Parse the command line and set up. Exit code 1, after what to do on standard error, when a step fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("goal", choices=["run", "dev", "peers"])
    parser.add_argument("--this-python", action="store_true", help="make the environment anew if it is of another one")
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
        print("Interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
