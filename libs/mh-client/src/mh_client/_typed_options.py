"""Options of commands that are declared elsewhere: in a TypedDict, or one for each field."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any


def with_options(
    command: Callable[..., None], kinds: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> Callable[..., None]:
    """Add options to a command, by name with their types as Typer reads them; it receives them as keyword arguments.

    The default is None where `defaults` has no other. Typer derives options from the signature, so they are added to
    the signature.
    """
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=(defaults or {}).get(name), annotation=kind)
        for name, kind in kinds.items()
    ]

    @wraps(command)
    def with_them(*args: Any, **kwargs: Any) -> None:
        command(*args, **kwargs)

    with_them.__dict__["__signature__"] = signature.replace(parameters=[*own, *options])
    return with_them
