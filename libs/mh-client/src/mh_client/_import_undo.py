"""`mh import --undo`: takes an import back."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer
from mh_common.models import ImportUndone
from mh_common.wording import counted

from mh_client._cli_client import open_client
from mh_client._cli_common import EXIT_FAILURE, print_json, print_text
from mh_client._client import Client
from mh_client._errors import ImportRefusedError
from mh_client._import_arguments import Arguments
from mh_client._terminal import print_error, progress_reporter
from mh_client.importing import forget_import
from mh_client.resources.conversations import undo_piece

SHOWN_IDS: Final = 20


def undo_import(url: str | None, tag: str, given: Arguments, state_dir: Path, *, dry_run: bool, as_json: bool) -> None:
    """Delete what an import added, after a question, and print what was deleted and what was kept."""
    with open_client(url) as client:
        found = client.conversations.undo_import(tag, edited=given["edited"], dry_run=True)
        if dry_run:
            _print(tag, found, as_json=as_json, would_be=True)
            return
        if found.remaining:
            _confirm(tag, found, given)
            found = _delete(client, tag, found, edited=given["edited"])
    try:
        forget_import(tag, state_dir)
    except OSError as error:
        raise ImportRefusedError(f"{error.filename}: {error.strerror or error}") from error
    _print(tag, found, as_json=as_json, would_be=False)


def _confirm(tag: str, found: ImportUndone, given: Arguments) -> None:
    if given["yes"]:
        return
    told = counted(found.remaining, "conversation")
    if not sys.stdin.isatty():
        raise ImportRefusedError(f"{told} of the import {tag} would be deleted; confirm that with --yes")
    if not typer.confirm(f"Delete {told} that the import {tag} added?", err=True):
        print_error("mh: nothing was deleted")
        raise typer.Exit(EXIT_FAILURE)


def _delete(client: Client, tag: str, found: ImportUndone, *, edited: bool) -> ImportUndone:
    total, deleted = found.remaining, 0
    with progress_reporter(tag) as show:
        while found.remaining:
            found = client.send(undo_piece(tag, edited=edited))
            deleted += found.deleted
            show(deleted, max(total, deleted), f"{counted(deleted, 'conversation')} deleted")
    return found.model_copy(update={"deleted": deleted})


def _print(tag: str, found: ImportUndone, *, as_json: bool, would_be: bool) -> None:
    if as_json:
        print_json(found)
        return
    if would_be:
        print_text(f"{counted(found.remaining, 'conversation')} of the import {tag} would be deleted.")
    else:
        print_text(f"{counted(found.deleted, 'conversation')} of the import {tag} deleted.")
    if found.edited:
        kept = "would be kept" if would_be else "kept"
        told = f"{counted(found.edited, 'conversation')} {kept}, edited since: {_ids(found.edited_ids, found.edited)}."
        print_text(f"{told} --edited deletes {'it' if found.edited == 1 else 'them'} too.")
    if found.updated:
        told = counted(found.updated, "conversation")
        one = found.updated == 1
        print_text(
            f"{told} that {'was' if one else 'were'} there before and that the import updated "
            f"{'keeps' if one else 'keep'} what it gave {'it' if one else 'them'}: "
            f"{_ids(found.updated_ids, found.updated)}."
        )


def _ids(ids: Sequence[int], count: int) -> str:
    shown = ", ".join(map(str, ids[:SHOWN_IDS]))
    more = count - min(len(ids), SHOWN_IDS)
    return f"{shown} and {more:,} more" if more else shown
