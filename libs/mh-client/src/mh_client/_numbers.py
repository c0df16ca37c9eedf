"""Numbers on the command line are read as those of requests are: digits, so that `1_0` is not 10."""

import copy
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final, get_args, get_origin

import typer
from mh_common.models.parameters import decimal, whole_number

_READERS: Final[dict[Any, Callable[[str], float]]] = {int: whole_number, float: decimal}


def read_numbers_strictly(app: typer.Typer) -> None:
    """Let every numeric option and argument of these commands take digits only. Call it when all are registered."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = _strict(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            read_numbers_strictly(group.typer_instance)


def _strict(command: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(command)
    strict = [one.replace(annotation=_strict_kind(one.annotation)) for one in signature.parameters.values()]

    @wraps(command)
    def with_strict_numbers(*args: Any, **kwargs: Any) -> Any:
        return command(*args, **kwargs)

    with_strict_numbers.__dict__["__signature__"] = signature.replace(parameters=strict)
    return with_strict_numbers


def _strict_kind(kind: Any) -> Any:
    """Return the type of an option with a reader of its own if it is a number, also an optional one or several."""
    if get_origin(kind) is not Annotated:
        return kind
    given, option = get_args(kind)
    read = _reader_of(given)
    if read is None:
        return kind
    option = copy.copy(option)
    option.parser = _bounded(read, option.min, option.max)
    option.min = option.max = None
    option.metavar = option.metavar or "NUMBER"
    return Annotated[given, option]


def _reader_of(kind: Any) -> Callable[[str], float] | None:
    if kind in _READERS:
        return _READERS[kind]
    return next((read for part in get_args(kind) if (read := _reader_of(part))), None)


def _bounded(read: Callable[[str], float], least: float | None, most: float | None) -> Callable[[Any], float]:
    def number(given: Any) -> float:
        try:
            # A default is a number already.
            found = read(given) if isinstance(given, str) else given
        except ValueError as error:
            raise typer.BadParameter(f"{given!r} {error}") from None
        if (least is not None and found < least) or (most is not None and found > most):
            bounds = f"at least {least:g}" if most is None else f"{least or 0:g} to {most:g}"
            raise typer.BadParameter(f"{given!r} must be {bounds}")
        return float(found) if read is decimal else int(found)

    return number
