"""The options that filter, of the commands that list, export and search: one for each filter that there is."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from mh_common.fields import FILTERS, Check, Filter, Kind, Sentiment

from mh_client._command_parts import Day, Time

_REPEATED = "may be given several times."


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each filter; it takes those that are given as its `**filters`.

    Typer reads the options of a command off its signature, so this writes them there.
    """
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(one))
        for name, one in FILTERS.items()
    ]

    @wraps(command)
    def filtered(*args: Any, **kwargs: Any) -> None:
        command(*args, **kwargs)

    filtered.__dict__["__signature__"] = signature.replace(parameters=[*own, *options])
    return filtered


def _option(one: Filter) -> Any:
    match one.check:
        case Check.FROM | Check.BEFORE:
            return Day if one.field.kind is Kind.DAY else Time
        case Check.EMPTY:
            return Annotated[
                bool | None, typer.Option(help=f"Only those without {one.field.name}, or only those with.")
            ]
        case Check.ANY_OF:
            return _several(one)


def _several(one: Filter) -> Any:
    match one.field.kind:
        case Kind.ID:
            return Annotated[list[int] | None, typer.Option("--id", help="Only these; may be given several times.")]
        case Kind.CHOICE:
            return Annotated[list[Sentiment] | None, typer.Option(help=f"{one.description[:-1]}; {_REPEATED}")]
        case _:
            return Annotated[list[str] | None, typer.Option(help=f"{one.description[:-1]}; {_REPEATED}")]
