"""The command `mh import`."""

import asyncio
from pathlib import Path
from typing import Annotated, Unpack

import typer
from mh_common.wording import counted

from mh_client._cli_common import EXIT_FAILURE, EXIT_INTERRUPTED, AsJson, Url
from mh_client._errors import ImportRefusedError
from mh_client._import_arguments import Arguments, import_options, state_dir, with_arguments
from mh_client._import_run import check_with_progress, import_with_progress
from mh_client._import_summary import print_check, print_done
from mh_client._import_undo import undo_import
from mh_client._terminal import print_error


@with_arguments
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="CSV, JSON, JSON Lines, Parquet or Excel; recognised by itself.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what would be added, updated, skipped, rejected or, with --undo, deleted."
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all conversations are searchable.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    **given: Unpack[Arguments],
) -> None:
    """Import a file of conversations, or take an import back with --undo.

    What is there already is skipped, unless --on-duplicate says otherwise. After an interruption run the command again.
    """
    address = url or ctx.obj
    tag = given["undo"]
    if (file is None) == (tag is None):
        raise ImportRefusedError("name the file to import, or the tag of the import to take back: --undo TAG")
    if tag is not None:
        undo_import(address, tag, given, state_dir(given), dry_run=dry_run, as_json=as_json)
    elif file is not None and dry_run:
        _check(address, file, given, as_json=as_json)
    elif file is not None:
        _import(address, file, given, wait=wait, as_json=as_json)


def _check(url: str | None, file: Path, given: Arguments, *, as_json: bool) -> None:
    check = asyncio.run(check_with_progress(url, file, import_options(given)))
    print_check(check, as_json=as_json)
    if check.rejected:
        raise typer.Exit(EXIT_FAILURE)


def _import(url: str | None, file: Path, given: Arguments, *, wait: bool, as_json: bool) -> None:
    try:
        done = asyncio.run(import_with_progress(url, file, import_options(given), wait=wait))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_done(file, url, done, as_json=as_json)
    if done.rejects:
        told = counted(done.rejected, "row")
        print_error(f"mh: {told} rejected; {done.rejects} has line and reason of each. Correct and import it.")
        raise typer.Exit(EXIT_FAILURE)
