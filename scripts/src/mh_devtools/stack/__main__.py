"""The platform on this machine without Docker: MariaDB, Redis, Milvus, two replicas of each API, two workers, nginx.

    make stack              start everything; Ctrl-C stops it, the data is kept in var/stack
    make rolling-restart    restart every replica, one at a time, without losing a request

The processes get their settings from infra/env and .env, like the containers.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from mh_devtools import access, servers
from mh_devtools.embedded.interrupts import Interrupts
from mh_devtools.embedded.local_stack import exclusive_lock
from mh_devtools.paths import ROOT
from mh_devtools.stack import environment
from mh_devtools.stack.parts import Parts
from mh_devtools.stack.supervisor import Supervisor

VAR: Final = ROOT / "var" / "stack"
STATE: Final = "state.json"


def say(line: str) -> None:
    """Print a line and flush."""
    print(line, flush=True)


def run(var: Path) -> None:
    """Run the stack until a signal stops it. Raises ServerError."""
    interrupts = Interrupts()
    with exclusive_lock(var), ExitStack() as cleanup:
        supervisor = Supervisor(var / STATE, interrupts.held, say)
        cleanup.callback(supervisor.stop)
        signal.signal(signal.SIGUSR1, lambda *_: supervisor.request_rolling_restart())
        given = environment.chosen(var)
        parts = Parts(var, given)
        supervisor.note(pid=os.getpid(), url=parts.url, ports=parts.ports, ready=False)
        start(parts, supervisor)
        key = parts.api_key()
        supervisor.note(ready=True)
        print_addresses(parts, given)
        if key:
            print_access(parts, key)
        supervisor.watch()


def start(parts: Parts, supervisor: Supervisor) -> None:
    """Start every part after those it depends on, and return when all are ready. Raises ServerError."""
    for store in parts.stores():
        say(f"Starting {store.name}")
        supervisor.add(store)
    parts.migrate()
    services = parts.services()
    for service in services:
        say(f"Starting {service.name}")
        supervisor.add(service)
    supervisor.wait_until_ready([service.name for service in services])


def print_addresses(parts: Parts, given: Mapping[str, str]) -> None:
    """Print the URLs and the commands to use."""
    milvus = given.get("MILVUS_URI") or f"Milvus Lite on port {parts.ports['milvus']}"
    say(f"\nServing at {parts.url}  (Ctrl-C stops everything)")
    say(f"  documentation    {parts.url}/docs")
    say(f"  queue            {parts.flower_url}")
    say(f"  index            {milvus}")
    say("  examples         make smoke")
    say("  new processes    make rolling-restart")


def print_access(parts: Parts, key: str) -> None:
    """Print where an API key is and, if an administrator must be made first, with which token."""
    say(f"  key of an administrator, for programs on this machine: export {access.API_KEY}=$(cat {parts.api_key_file})")
    if token := parts.setup_token(key):
        say(f"  the first administrator: {access.set_up_command(parts.url, token)}")


def restart(var: Path) -> None:
    """Ask the running stack to restart its replicas, and wait until it is done. Raises ServerError."""
    before = read_state(var)
    say("Restarting every replica, one at a time")
    os.kill(before["pid"], signal.SIGUSR1)
    while (now := read_state(var))["rolled"] == before["rolled"]:
        time.sleep(0.2)
    if now["fault"]:
        raise servers.ServerError(now["fault"])
    say("Done")


def read_state(var: Path) -> dict[str, Any]:
    """Return the state of the running stack. Raises ServerError if it is not running."""
    try:
        state: dict[str, Any] = json.loads((var / STATE).read_text(encoding="utf-8"))
        os.kill(state["pid"], 0)
    except (FileNotFoundError, ProcessLookupError):
        raise servers.ServerError("The stack is not running; start it with: make stack") from None
    return state


def main() -> None:
    """Parse the command line and run. Errors are one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "restart"), default="run")
    parser.add_argument("--var", type=Path, default=VAR, help="folder for data and logs")
    arguments = parser.parse_args()
    try:
        {"run": run, "restart": restart}[arguments.command](arguments.var.resolve())
    except KeyboardInterrupt:
        say(f"Stopped; the data is kept in {arguments.var}")
    except servers.ServerError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
