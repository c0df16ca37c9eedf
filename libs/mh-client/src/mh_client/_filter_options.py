"""The options that filter, of the commands that list, export and search: one for each filter that there is."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from mh_common.fields import FILTERS, Check, Filter, Kind, Sentiment

from mh_client._command_parts import Time


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
    if one.check in (Check.FROM, Check.BEFORE):
        return Time
    if one.field.kind is Kind.ID:
        return Annotated[list[int] | None, typer.Option("--id", help="Only these; may be given several times.")]
    return Annotated[list[Sentiment] | None, typer.Option(help="Any of these; may be given several times.")]
