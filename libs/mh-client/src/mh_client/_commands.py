"""The commands of `mh`. Errors are printed as one line that says what to do."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn, Unpack

import typer
from mh_common.models import ConversationStats

from mh_client._answer_output import print_answer
from mh_client._cli_common import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    AsJson,
    Url,
    print_json,
    print_text,
)
from mh_client._client import Client
from mh_client._errors import (
    APIConnectionError,
    EvaluationRefusedError,
    ImportRefusedError,
    InvalidInputError,
    MHError,
    RateLimitError,
    ServerError,
)
from mh_client._eval_command import evaluate
from mh_client._experiment_commands import app as experiments_app
from mh_client._filter_options import with_filters
from mh_client._history_commands import app as history_app
from mh_client._import_command import import_with_progress
from mh_client._import_journal import default_state_dir
from mh_client._index_commands import app as index_app
from mh_client._mcp_command import serve
from mh_client._search_commands import search, similar
from mh_client._terminal import print_error
from mh_client.importing import DEFAULT_BATCH_ROWS, DEFAULT_CONCURRENCY, ImportOptions
from mh_client.labelling import label
from mh_client.resources._fields import FieldFilters
from mh_client.resources.conversations import ExportFormat, ExportQuery

app = typer.Typer(
    help="Import, export and search mental health conversations, and ask questions about them.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(index_app, name="index")
app.add_typer(history_app, name="history")
app.add_typer(experiments_app, name="experiments")
app.command("eval")(evaluate)
app.command("search")(search)
app.command("similar")(similar)
app.command("mcp")(serve)


def run(args: Sequence[str] | None = None) -> NoReturn:
    """Run `mh` with these arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        typer.main.get_command(app)(args=args, prog_name="mh")
    except (ImportRefusedError, EvaluationRefusedError, InvalidInputError) as error:
        _fail(EXIT_USAGE, str(error))
    except APIConnectionError as error:
        _fail(EXIT_UNAVAILABLE, f"{error}. Is the platform running there? Set another URL with --url or MH_URL.")
    except (ServerError, RateLimitError) as error:
        _fail(EXIT_UNAVAILABLE, f"the platform is unavailable; try again later. It returned: {error}")
    except MHError as error:
        _fail(EXIT_FAILURE, str(error))
    sys.exit(0)


def _fail(code: int, message: str) -> NoReturn:
    print_error(f"mh: {message}")
    sys.exit(code)


@app.callback()
def _main(ctx: typer.Context, url: Url = None) -> None:
    ctx.obj = url


@app.command("import")
def _import(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file with a header, or JSON Lines (.jsonl); UTF-8.")],
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
    """Import a CSV or JSON Lines file. After an interruption run the command again; no row is added twice."""
    options = ImportOptions(
        batch_rows=batch_size,
        concurrency=concurrency,
        labeller=label if label_missing else None,
        again=again,
        state_dir=state_dir or default_state_dir(),
        platform=platform,
        rejects=rejects,
    )
    try:
        done = asyncio.run(import_with_progress(url or ctx.obj, file, options, wait=wait))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if done.rejects:
        print_error(
            f"mh: {done.rejected:,} rows rejected; {done.rejects} has line and reason of each. Correct and import it."
        )
        raise typer.Exit(EXIT_FAILURE)


@app.command("export")
@with_filters
def _export(
    ctx: typer.Context,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="csv or jsonl.")] = "csv",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File (default: standard output).")] = None,
    q: Annotated[str | None, typer.Option("--q", help="Words that the question or answer must contain.")] = None,
    url: Url = None,
    **filters: Unpack[FieldFilters],
) -> None:
    """Export the matching conversations as a CSV or JSON Lines file."""
    query = ExportQuery(format=file_format, q=q, **filters)
    with Client(url or ctx.obj) as client, _destination(output) as file:
        for piece in client.conversations.export(**query):
            file.write(piece)


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


@app.command("ask")
def _ask(
    ctx: typer.Context,
    question: str,
    top_k: Annotated[int, typer.Option(help="Conversations to ground the answer in, 1 to 20.")] = 3,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Ask how to help a patient. The answer cites its sources and is printed as it is generated."""
    with Client(url or ctx.obj) as client:
        if as_json:
            print_json(client.answer(question, top_k=top_k))
        else:
            print_answer(client.answer_stream(question, top_k=top_k))


@app.command("stats")
def _stats(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Show the number of conversations by sentiment, month and index status."""
    with Client(url or ctx.obj) as client:
        result = client.conversations.stats()
    if as_json:
        print_json(result)
        return
    for title, counts in _tables(result).items():
        print_text(title)
        for name, count in counts.items():
            print_text(f"  {name:<24}{count:>12,}")


def _tables(stats: ConversationStats) -> dict[str, dict[str, int]]:
    pairs = {f"{pair.question_sentiment} / {pair.answer_sentiment}": pair.count for pair in stats.pairs}
    return {
        "Conversations": {"total": stats.total},
        "Question sentiment": {str(name): count for name, count in stats.question_sentiment.items()},
        "Answer sentiment": {str(name): count for name, count in stats.answer_sentiment.items()},
        "Question / answer": pairs,
        "Created in": {month.month: month.count for month in stats.per_month},
        "Search index": {str(name): count for name, count in stats.index_status.items()},
    }
