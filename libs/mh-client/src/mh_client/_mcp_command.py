"""The command `mh mcp`: the platform as tools of a program on this machine in which a language model works."""

import asyncio
import importlib
import signal

import typer

from mh_client._command_parts import UNUSABLE, Url
from mh_client._terminal import say


def serve(ctx: typer.Context, url: Url = None) -> None:
    """Serve the tools search, fetch and ask over standard input and output, to the MCP client that starts this."""
    try:
        # Takes a while to load, and is an extra.
        stdio = importlib.import_module("mh_client.mcp_server.stdio")
    except ModuleNotFoundError as error:
        say(f"mh: {error.name} is not installed; install it with: pip install 'mh-client[cli,mcp]'")
        raise typer.Exit(UNUSABLE) from error
    # A thread waits for the next line, which Python would wait for in turn; there is nothing to clean up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(stdio.serve(url or ctx.obj))
