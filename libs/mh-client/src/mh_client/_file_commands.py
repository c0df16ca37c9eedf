"""The commands `mh import` and `mh export`."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Unpack

import typer
from mh_common.formats import ReadOptions, parse_columns
from mh_common.models import Sentiment

from mh_client._cli_common import EXIT_FAILURE, EXIT_INTERRUPTED, Url
from mh_client._client import Client
from mh_client._errors import ImportRefusedError
from mh_client._export_count import RowCount
from mh_client._filter_options import with_filters
from mh_client._import_command import check_with_progress, import_with_progress
from mh_client._import_journal import default_state_dir
from mh_client._terminal import print_error
from mh_client.importing import DEFAULT_BATCH_ROWS, DEFAULT_CONCURRENCY, ImportOptions
from mh_client.labelling import label
from mh_client.resources._fields import FieldFilters
from mh_client.resources.conversations import ExportFormat, ExportQuery

_NAMES: Final[dict[ExportFormat, str]] = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, JSON, JSON Lines, Parquet or Excel; recognised by itself.")],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=NAME", help="The file's column for a field, as in question=Context; repeatable."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of a text file, such as cp1252.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of a CSV file: one character, or comma, semicolon, tab or pipe.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an Excel workbook (default: the first).")] = None,
    zero: Annotated[Sentiment, typer.Option(help="What the sentiment 0 means.")] = Sentiment.NEGATIVE,
    raw: Annotated[
        bool, typer.Option("--raw", help="Keep the apostrophes before formulas in a CSV file (see mh export --raw).")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be imported and rejected; send nothing.")
    ] = False,
    label_missing: Annotated[
        bool, typer.Option("--label-missing", help="Label missing sentiments with the VADER lexicon.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Rows per request, 1 to 1000.")] = DEFAULT_BATCH_ROWS,
    concurrency: Annotated[int, typer.Option(help="Concurrent requests.")] = DEFAULT_CONCURRENCY,
    again: Annotated[
        bool, typer.Option("--again", help="Import every row, also those that an earlier run imported.")
    ] = False,
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder for the import journals (default: ~/.local/state/mh/imports).")
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(help="Name of the platform in the journal, if its URL may change (default: the URL)."),
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="File for rejected rows (default: FILE.rejects.csv).")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all conversations are searchable.")] = False,
    url: Url = None,
) -> None:
    """Import a file of conversations. After an interruption run the command again; no row is added twice."""
    options = ImportOptions(
        batch_rows=batch_size,
        concurrency=concurrency,
        labeller=label if label_missing else None,
        again=again,
        state_dir=state_dir or default_state_dir(),
        platform=platform,
        rejects=rejects,
        read=ReadOptions(
            encoding=encoding,
            delimiter=delimiter,
            columns=parse_columns(column or ()),
            sheet=sheet,
            raw=raw,
            zero=zero,
        ),
    )
    if dry_run:
        if check_with_progress(url or ctx.obj, file, options).rejected:
            raise typer.Exit(EXIT_FAILURE)
        return
    try:
        done = asyncio.run(import_with_progress(url or ctx.obj, file, options, wait=wait))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if done.rejects:
        print_error(
            f"mh: {done.rejected:,} rows rejected; {done.rejects} has line and reason of each. Correct and import it."
        )
        raise typer.Exit(EXIT_FAILURE)


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
    with Client(url or ctx.obj) as client, _destination(output) as file:
        for piece in client.conversations.export(**query):
            file.write(piece)
            count.take(piece)
    if output is not None:
        size = f"{output.stat().st_size:,} bytes"
        told = size if form == "parquet" else f"{count.rows:,} conversations, {size}"
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
