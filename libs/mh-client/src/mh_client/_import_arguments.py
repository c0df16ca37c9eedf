"""The options of `mh import`, by what they are about."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict, get_type_hints

import typer
from mh_common.formats import ReadOptions, parse_columns
from mh_common.identifiers import make_recognizer
from mh_common.models import OnDuplicate, Sentiment

from mh_client._import_journal import default_state_dir
from mh_client._typed_options import with_options
from mh_client.importing import DEFAULT_BATCH_ROWS, DEFAULT_CONCURRENCY, ImportOptions
from mh_client.labelling import label


class Reading(TypedDict):
    """How the file is read, where that is not recognised."""

    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=NAME", help="The file's column for a field, as in question=Context; repeatable."),
    ]
    encoding: Annotated[str | None, typer.Option(help="Encoding of a text file, such as Windows-1252.")]
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of a CSV file: one character, or comma, semicolon, tab or pipe.")
    ]
    sheet: Annotated[str | None, typer.Option(help="Sheet of an Excel workbook (default: the first).")]
    zero: Annotated[Sentiment, typer.Option(help="What the sentiment 0 means.")]
    raw: Annotated[
        bool, typer.Option("--raw", help="Keep the apostrophes before formulas in a CSV file (see mh export --raw).")
    ]
    label_missing: Annotated[
        bool, typer.Option("--label-missing", help="Label missing sentiments with the VADER lexicon.")
    ]


class Storing(TypedDict):
    """What is stored, how it is sent, and where progress is kept."""

    on_duplicate: Annotated[
        OnDuplicate,
        typer.Option(
            help="For a row whose question and answer are there already: skip it, update what is there with the file's "
            "other fields, or add it once more."
        ),
    ]
    tag: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Tag of what is added (default: made of the file's name and the time)."),
    ]
    batch_size: Annotated[int, typer.Option(help="Rows per request, 1 to 1000.")]
    concurrency: Annotated[int, typer.Option(help="Concurrent requests.")]
    again: Annotated[
        bool, typer.Option("--again", help="Send every row, also those that an earlier run of this file stored.")
    ]
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder for the import journals (default: ~/.local/state/mh/imports).")
    ]
    platform: Annotated[
        str | None,
        typer.Option(help="Name of the platform in the journal, if its URL may change (default: the URL)."),
    ]
    rejects: Annotated[Path | None, typer.Option(help="File for rejected rows (default: FILE.rejects.csv).")]
    identifiers: Annotated[
        Path | None,
        typer.Option(help="CSV file for a report: in which row and column what kind of identifier was recognised."),
    ]


class Undoing(TypedDict):
    """Taking an import back."""

    undo: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Instead of importing: delete what the import with this tag added."),
    ]
    edited: Annotated[
        bool, typer.Option("--edited", help="With --undo: delete conversations that were edited since, too.")
    ]
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --undo: delete without asking.")]


class Arguments(Reading, Storing, Undoing):
    """All of them."""


_DEFAULTS: Final[dict[str, Any]] = {
    "zero": Sentiment.NEGATIVE,
    "on_duplicate": OnDuplicate.SKIP,
    "batch_size": DEFAULT_BATCH_ROWS,
    "concurrency": DEFAULT_CONCURRENCY,
    **dict.fromkeys(("raw", "label_missing", "again", "edited", "yes"), False),
}


def with_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which receives them as `**given: Unpack[Arguments]`."""
    return with_options(command, get_type_hints(Arguments, include_extras=True), _DEFAULTS)


def import_options(given: Arguments) -> ImportOptions:
    """Return the options of an import. Raises ImportRefusedError and FileRefusedError."""
    return ImportOptions(
        batch_rows=given["batch_size"],
        concurrency=given["concurrency"],
        labeller=label if given["label_missing"] else None,
        again=given["again"],
        state_dir=state_dir(given),
        platform=given["platform"],
        rejects=given["rejects"],
        read=ReadOptions(
            encoding=given["encoding"],
            delimiter=given["delimiter"],
            columns=parse_columns(given["column"] or ()),
            sheet=given["sheet"],
            raw=given["raw"],
            zero=given["zero"],
        ),
        on_duplicate=given["on_duplicate"],
        tag=given["tag"],
        recognizer=make_recognizer(),
        identifiers=given["identifiers"],
    )


def state_dir(given: Arguments) -> Path:
    """Return the folder of the journals."""
    return given["state_dir"] or default_state_dir()
