"""What is evaluated: each combination of the search parameters that were asked for."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mh_client._errors import EvaluationRefusedError

DEFAULT_LIMIT: Final = 100
"""Hits asked for. Many, as several can be of one question, which counts once; and the most that a search gives."""


@dataclass(frozen=True)
class Configuration:
    """Search parameters, sent with every query."""

    name: str
    parameters: Mapping[str, Any]


def parse_assignments(assignments: Iterable[str]) -> dict[str, list[Any]]:
    """Return the values of each name in `NAME=VALUE`, in order; a value that is JSON is read as such, else as text.

    Raises:
        EvaluationRefusedError: one has no name or no equals sign.
    """
    found: dict[str, list[Any]] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (name and equals):
            raise EvaluationRefusedError(f"{assignment!r} is not of the form NAME=VALUE")
        found.setdefault(name, []).append(_value(text))
    return found


def combinations(values: Mapping[str, list[Any]], name: str | None = None) -> list[Configuration]:
    """Return a configuration for each combination; a parameter that nobody named is left to the server.

    `name` stands before the parameters in each one's name.

    Raises:
        EvaluationRefusedError: the query itself is among the parameters.
    """
    if "query" in values:
        raise EvaluationRefusedError("the queries come from the file; query= cannot be set")
    found = []
    for chosen in itertools.product(*values.values()):
        parameters = dict(zip(values, chosen, strict=True))
        words = [f"{key}={_text(value)}" for key, value in parameters.items()]
        called = " ".join([name, *words] if name else words) or "default"
        found.append(Configuration(called[:200], {"limit": DEFAULT_LIMIT, **parameters}))
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
