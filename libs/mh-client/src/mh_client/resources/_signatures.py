"""Methods that take the keys of a TypedDict as arguments: shown by name and type, and checked."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, Final, ParamSpec, TypeVar, get_args, get_type_hints, is_typeddict

P = ParamSpec("P")
R = TypeVar("R")


class _NotGiven:
    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN: Final = _NotGiven()
"""Default of an argument that means something else when it is None, or nothing."""


def named_arguments(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method with `**arguments: Unpack[...]` name them for `help` and editors, and refuse others by name."""
    shown = expanded(signature(method))

    @wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        refuse_unknown(shown, method.__name__, kwargs)
        return method(*args, **kwargs)

    checked.__dict__["__signature__"] = shown
    return checked


def expanded(described: Signature) -> Signature:
    """Return the signature with a keyword argument for each key of the TypedDict."""
    parameters: dict[str, Parameter] = {}
    for name, parameter in described.parameters.items():
        keys = _keys(parameter)
        if keys is None:
            parameters[name] = parameter
            continue
        for key, kind in keys.items():
            parameters[key] = Parameter(key, Parameter.KEYWORD_ONLY, default=NOT_GIVEN, annotation=kind)
    return described.replace(parameters=list(parameters.values()))


def refuse_unknown(shown: Signature, name: str, given: Mapping[str, object]) -> None:
    """Raise TypeError for a keyword argument that the signature does not name."""
    for key in given.keys() - shown.parameters.keys():
        near = get_close_matches(key, shown.parameters, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"{name}() has no argument {key!r}{hint}")


def _keys(parameter: Parameter) -> dict[str, Any] | None:
    if parameter.kind is not Parameter.VAR_KEYWORD:
        return None
    for kind in get_args(parameter.annotation):
        if is_typeddict(kind):
            return get_type_hints(kind)
    return None
