"""The whole platform on one machine, without installing servers: `make run` and `make demo`.

SQLite, a private Redis, Milvus Lite as a server, both APIs behind one port, and a Celery worker. Data stays in `var/`.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from mh_client import Client, MHError
from rich.panel import Panel
from rich.text import Text

from mh_devtools import access, servers
from mh_devtools.embedded.data import console, import_data, sync_or_rebuild_index, wait_until_searchable
from mh_devtools.embedded.interrupts import Interrupts
from mh_devtools.embedded.local_stack import (
    Stack,
    auth_mode_from_environment,
    exclusive_lock,
    port_from_environment,
)
from mh_devtools.paths import ROOT
from mh_devtools.set_up import quality_model

QUESTION = "My patient lies awake at night because of worries about work. How can I help?"


def ask(client: Client) -> None:
    """Ask the sample question and print the answer with its sources."""
    answer = client.answer(QUESTION)
    console.print(f"\n[bold]{QUESTION}[/bold]", soft_wrap=True)
    console.print(Panel(Text(answer.answer), subtitle=f"model: {answer.model}"))
    for number, source in enumerate(answer.sources, start=1):
        text = " ".join(source.question.split())
        console.print(
            f"  [{number}] conversation {source.id}, score {source.score:.2f}: {text[:100]}",
            markup=False,
            soft_wrap=True,
        )


def print_addresses(stack: Stack) -> None:
    """Print the URLs, a sample command and, if an administrator must be made first, with which token."""
    url = stack.url
    key = f"{access.API_KEY}=$(cat {stack.api_key_file}) " if stack.api_key else ""
    lines = [
        f"\nServing at {url}  (Ctrl-C stops everything)",
        f"  documentation  {url}/docs",
        f"  conversations  {url}/api/v1/conversations?limit=5",
        f"  ask            {key}.venv/bin/mh --url {url} ask 'How do I help with panic attacks?'",
    ]
    if stack.setup_token:
        lines.append(f"  administrator  {access.set_up_command(url, stack.setup_token)}")
    for line in lines:
        console.print(line, soft_wrap=True)


def serve(var: Path, interrupts: Interrupts, *, demo: bool) -> None:
    """Run the stack until it is interrupted or, with `demo`, until the sample question is answered."""
    with exclusive_lock(var), ExitStack() as cleanup:
        stack = Stack(var, port_from_environment(), interrupts, auth_mode_from_environment())
        cleanup.callback(stack.stop)
        with console.status("Starting Redis, Milvus Lite, the APIs and the worker"):
            stack.start()
        with Client(stack.url, api_key=stack.api_key, timeout=60) as client:
            sync_or_rebuild_index(stack, client)
            import_data(stack, client)
            wait_until_searchable(stack, client)
            ask(client)
        if demo:
            return
        print_addresses(stack)
        while True:
            stack.check()
            time.sleep(0.5)


def main() -> None:
    """Parse the command line and run. Errors are one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", action="store_true", help="exit after the sample question is answered")
    parser.add_argument("--model", default="", help=f"{quality_model.QUALITY}: the larger embedding model")
    parser.add_argument("--var", type=Path, default=ROOT / "var", help="folder for data and logs")
    arguments = parser.parse_args()
    try:
        quality_model.select(arguments.model)
        serve(arguments.var.resolve(), Interrupts(), demo=arguments.demo)
    except KeyboardInterrupt:
        console.print("Stopped; the data is kept in", str(arguments.var))
    except (servers.ServerError, MHError, quality_model.UnavailableError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
