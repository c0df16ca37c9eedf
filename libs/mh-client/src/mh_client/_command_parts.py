"""What the commands share: options, exit codes, and how results are printed."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from pydantic import BaseModel

from mh_client._terminal import printable

REFUSED: Final = 1
UNUSABLE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130

SHOWN_CHARACTERS: Final = 300
"""Characters of a text in lists."""


def _time(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-03-01 or 2026-03-01T12:00:00+01:00") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


Url = Annotated[str | None, typer.Option("--url", help="Address of the platform (default: MH_URL, else local).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
Time = Annotated[datetime | None, typer.Option(parser=_time, metavar="TIME", help="ISO 8601; UTC without a zone.")]


def print_text(text: str) -> None:
    """Print without what could steer a terminal."""
    print(printable(text))


def print_json(result: BaseModel) -> None:
    """Print the whole answer as JSON."""
    print(result.model_dump_json(indent=2))
