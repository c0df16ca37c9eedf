"""The command `mh export`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Unpack

import typer
from mh_common.wording import counted

from mh_client._cli_client import open_client
from mh_client._cli_common import Url
from mh_client._errors import ImportRefusedError
from mh_client._export_count import RowCount
from mh_client._filter_options import with_filters
from mh_client._terminal import print_error
from mh_client.resources._fields import FieldFilters
from mh_client.resources.conversations import ExportFormat, ExportQuery

_NAMES: Final[dict[ExportFormat, str]] = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}


@with_filters
def export(
    ctx: typer.Context,
    file_format: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="csv, jsonl or parquet (default: by the name of the output file, else csv)."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File (default: standard output).")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV: write what a spreadsheet would run as it is, without an apostrophe.")
    ] = False,
    q: Annotated[str | None, typer.Option("--q", help="Words that the question or answer must contain.")] = None,
    url: Url = None,
    **filters: Unpack[FieldFilters],
) -> None:
    """Export the matching conversations as a CSV, JSON Lines or Parquet file, which can be imported again."""
    form = file_format or _format_of(output)
    if output is None and form == "parquet" and sys.stdout.isatty():
        raise ImportRefusedError("Parquet is not for a terminal; name a file with -o")
    query = ExportQuery(format=form, q=q, raw=raw or None, **filters)
    count = RowCount(form)
    with open_client(url or ctx.obj) as client, _destination(output) as file:
        for piece in client.conversations.export(**query):
            file.write(piece)
            count.take(piece)
    if output is not None:
        size = counted(output.stat().st_size, "byte")
        told = size if form == "parquet" else f"{counted(count.rows, 'conversation')}, {size}"
        print_error(f"mh: {output}: {told}, written as {_NAMES[form]}")


def _format_of(output: Path | None) -> ExportFormat:
    suffix = output.suffix.lower() if output else ""
    return "parquet" if suffix == ".parquet" else "jsonl" if suffix in (".jsonl", ".ndjson") else "csv"


@contextmanager
def _destination(output: Path | None) -> Iterator[BinaryIO]:
    """Yield the file to write; a named file is replaced only once it is complete."""
    if output is None:
        yield sys.stdout.buffer
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise ImportRefusedError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
