"""The command `mh mcp`: the platform as a local MCP server."""

import asyncio
import importlib
import signal

import typer

from mh_client._cli_client import open_async_client
from mh_client._cli_common import EXIT_USAGE, Url
from mh_client._terminal import print_error


def serve(ctx: typer.Context, url: Url = None) -> None:
    """Run an MCP server (stdio transport) with the tools search, fetch and ask, for the MCP client that starts it."""
    try:
        # Imported lazily: it is an extra and slow to import.
        stdio = importlib.import_module("mh_client.mcp_server.stdio")
    except ModuleNotFoundError as error:
        print_error(f"mh: {error.name} is not installed; install it with: pip install 'mh-client[cli,mcp]'")
        raise typer.Exit(EXIT_USAGE) from error
    # On exit Python would wait for the thread that reads standard input; there is nothing to clean up.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(stdio.serve(open_async_client(url or ctx.obj)))
