"""Shared by the commands: options, exit codes and output."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

import typer
from mh_common.field_values import parse_date
from pydantic import BaseModel

from mh_client._terminal import printable

EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 3
EXIT_INTERRUPTED: Final = 130

_DOTS_AND_SLASHES: Final = re.compile(r"^([0-9]{4})([./])([0-9]{2})\2([0-9]{2})")

MAX_DISPLAY_LENGTH: Final = 300
"""Longest text in lists, in characters."""


def _time(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(_DOTS_AND_SLASHES.sub(r"\1-\3-\4", text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-03-01 or 2026-03-01T12:00:00+01:00") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _day(text: str) -> date:
    try:
        return parse_date(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2026-03-01") from None


Url = Annotated[
    str | None, typer.Option("--url", help="URL of the platform (default: MH_URL, else http://127.0.0.1:8080).")
]
MaybeUser = Annotated[
    str | None,
    typer.Option(
        "--user",
        envvar="MH_USER",
        help="The person to act for: with a key that may, or where there are no accounts (or set MH_USER).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the complete response as JSON.")]
Time = Annotated[
    datetime | None, typer.Option(parser=_time, metavar="TIME", help="ISO 8601; UTC unless a time zone is given.")
]

Day = Annotated[date | None, typer.Option(parser=_day, metavar="DATE", help="2026-03-01, 2026.03.01 or 2026/03/01.")]


def print_text(text: str) -> None:
    """Print text without terminal control characters."""
    print(printable(text))


def print_json(result: BaseModel) -> None:
    """Print the complete response as JSON."""
    print(result.model_dump_json(indent=2))
