"""Starts the stack's parts, restarts those that exit, and performs rolling restarts."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from mh_devtools import servers
from mh_devtools.stack.parts import CONVERSATIONS, FAIL_TIMEOUT_S, RAG, STOP_S, WORKERS, Part

ROLLED: Final = (*CONVERSATIONS, *RAG, *WORKERS)
"""The parts that a rolling restart restarts, in this order."""
READY_S: Final = 120.0
PAUSE_S: Final = 0.1
LONGEST_DELAY_S: Final = 30.0
QUIET_S: Final = 60.0
"""A part that ran for this long is restarted at once; one that keeps exiting is restarted with growing delays."""


class Supervisor:
    """Runs and watches the parts.

    `state` is the state file, see `note`. `held` defers signals, so that no process is lost while it is being started
    or stopped.
    """

    def __init__(
        self, state: Path, held: Callable[[], AbstractContextManager[None]], say: Callable[[str], None]
    ) -> None:
        self._state = state
        self._held = held
        self._say = say
        self._parts: dict[str, Part] = {}
        self._running: dict[str, servers.Running] = {}
        self._started: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._ends: Counter[str] = Counter()
        self._about: dict[str, object] = {}
        self._watching = False
        self._asked = self._rolled = 0
        self._fault = ""

    def add(self, part: Part) -> None:
        """Start a part and supervise it. Raises ServerError."""
        self._parts[part.name] = part
        self._start(part.name)

    def wait_until_ready(self, names: Sequence[str]) -> None:
        """Return when these parts are ready. Raises ServerError, which names the first that is not."""
        for name in names:
            self._wait(self._parts[name].ready, name)

    def note(self, **about: object) -> None:
        """Write the state file: `about`, each part's process id, the count of rolling restarts, the last error."""
        self._about |= about
        pids = {name: running.process.pid for name, running in self._running.items()}
        state = {**self._about, "parts": pids, "rolled": self._rolled, "fault": self._fault}
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self._state)

    def request_rolling_restart(self) -> None:
        """Make `watch` restart every replica, one at a time. Safe to call from a signal handler."""
        self._asked += 1

    def watch(self) -> None:
        """Keep everything running until a signal stops it."""
        self._watching = True
        while True:
            self._tend()
            if self._asked > self._rolled:
                self._roll()
            time.sleep(PAUSE_S)

    def stop(self) -> None:
        """Stop every part: the gateway, then the services, then the stores; the parts of each step together."""
        with self._held():
            for step in sorted({part.step for part in self._parts.values()}, reverse=True):
                ending = [running for name, running in self._running.items() if self._parts[name].step == step]
                for running in ending:
                    if running.process.poll() is None:
                        running.process.send_signal(signal.SIGTERM)
                for running in ending:
                    running.stop(STOP_S)
            self._state.unlink(missing_ok=True)

    def _roll(self) -> None:
        self._fault = ""
        try:
            for name in ROLLED:
                self._restart(name)
        except servers.ServerError as error:
            self._fault = f"The rolling restart stopped: {error}"
        self._rolled += 1
        self.note()
        self._say(self._fault or "Every replica was restarted")

    def _restart(self, name: str) -> None:
        running = self._running[name]
        # From now on its exit is expected.
        self._due[name] = float("inf")
        running.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        while running.process.poll() is None and time.monotonic() < began + STOP_S:
            self._tend()
            time.sleep(PAUSE_S)
        running.stop(0)
        self._say(f"{name} stopped after {time.monotonic() - began:.1f} s and is restarted")
        self._start(name)
        self._wait(self._parts[name].ready, name)
        # The others must stay up until the gateway uses this one again.
        settled = time.monotonic() + FAIL_TIMEOUT_S + 1
        self._wait(lambda: time.monotonic() > settled, name)

    def _start(self, name: str) -> None:
        with self._held():
            self._running[name] = self._parts[name].start()
        self._started[name] = time.monotonic()
        self._due.pop(name, None)
        self.note()

    def _wait(self, condition: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + READY_S
        while not condition():
            self._tend()
            if time.monotonic() > deadline:
                raise servers.ServerError(
                    f"{name} is not ready after {READY_S:.0f} s; its log: {self._running[name].log}"
                )
            time.sleep(PAUSE_S)

    def _tend(self) -> None:
        """Restart parts that have exited: at once, or with growing delays if they keep exiting."""
        now = time.monotonic()
        for name, running in list(self._running.items()):
            if name not in self._due and (ended := running.ended()):
                if not self._watching:
                    raise servers.ServerError(ended)
                self._ends[name] = 1 if now - self._started[name] > QUIET_S else self._ends[name] + 1
                delay = min(2.0 ** (self._ends[name] - 1) - 1, LONGEST_DELAY_S)
                # Kill what is left of its process group first.
                running.stop(0)
                self._due[name] = now + delay
                self._say(f"{ended}; restarting it" + (f" in {delay:.0f} s" if delay else ""))
            if self._due.get(name, float("inf")) <= now:
                self._try_to_start(name)

    def _try_to_start(self, name: str) -> None:
        try:
            self._start(name)
        except servers.ServerError as error:
            self._ends[name] += 1
            self._due[name] = time.monotonic() + min(2.0 ** self._ends[name], LONGEST_DELAY_S)
            self._say(str(error))
        else:
            self._say(f"{name} is running again")
