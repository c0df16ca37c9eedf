"""The commands of `mh identifiers`."""

import sys
from typing import Annotated

import typer

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Url, print_json, print_text

app = typer.Typer(
    help="See which names and other identifiers the platform recognises.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """Keep `preview` a command of its own: typer would otherwise merge a single command with its group."""


@app.command("preview")
def _preview(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="The text; - or nothing reads it from standard input.")] = "-",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what would be hidden of a text before a language model gets it. Nothing is sent to one.

    This is not de-identification: what is not recognised stays in the text.
    """
    given = sys.stdin.read() if text == "-" else text
    with open_client(url or ctx.obj) as client:
        found = client.identifiers.preview(given)
    if as_json:
        print_json(found)
        return
    print_text(found.text)
    for span in found.identifiers:
        print_text(f"{span.kind}: characters {span.start} to {span.end}")
    print_text(f"\nPHI_MODE here is {found.phi_mode}. {found.notice}")
