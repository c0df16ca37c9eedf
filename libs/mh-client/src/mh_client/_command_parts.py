"""What the commands share: options, exit codes, and how results are printed."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

import typer
from mh_common.fields import day_of
from pydantic import BaseModel

from mh_client._terminal import printable

REFUSED: Final = 1
UNUSABLE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130

_DOTS_AND_SLASHES: Final = re.compile(r"^([0-9]{4})([./])([0-9]{2})\2([0-9]{2})")

SHOWN_CHARACTERS: Final = 300
"""Characters of a text in lists."""


def _time(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(_DOTS_AND_SLASHES.sub(r"\1-\3-\4", text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-03-01 or 2026-03-01T12:00:00+01:00") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _day(text: str) -> date:
    try:
        return day_of(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2026-03-01") from None


Url = Annotated[str | None, typer.Option("--url", help="Address of the platform (default: MH_URL, else local).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
Time = Annotated[datetime | None, typer.Option(parser=_time, metavar="TIME", help="ISO 8601; UTC without a zone.")]

Day = Annotated[date | None, typer.Option(parser=_day, metavar="DAY", help="2026-03-01, 2026.03.01 or 2026/03/01.")]


def print_text(text: str) -> None:
    """Print without what could steer a terminal."""
    print(printable(text))


def print_json(result: BaseModel) -> None:
    """Print the whole answer as JSON."""
    print(result.model_dump_json(indent=2))
