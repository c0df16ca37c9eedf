"""The configurations to evaluate: every combination of the given search parameters."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mh_client._errors import EvaluationRefusedError

DEFAULT_LIMIT: Final = 100
"""Hits per query: the maximum of a search, since several hits can have the same question, which counts once."""


@dataclass(frozen=True)
class Configuration:
    """Search parameters, sent with every query."""

    name: str
    parameters: Mapping[str, Any]


def parse_assignments(assignments: Iterable[str]) -> dict[str, list[Any]]:
    """Parse `NAME=VALUE` into the values of each name, in order; a value is JSON if it parses as such, else text.

    Raises:
        EvaluationRefusedError: the name or the equals sign is missing.
    """
    found: dict[str, list[Any]] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (name and equals):
            raise EvaluationRefusedError(f"{assignment!r} is not of the form NAME=VALUE")
        found.setdefault(name, []).append(_value(text))
    return found


def combinations(values: Mapping[str, list[Any]], name: str | None = None) -> list[Configuration]:
    """Return a configuration for each combination; other parameters have the server's defaults.

    `name` is the prefix of each configuration's name, before the parameters.

    Raises:
        EvaluationRefusedError: `query` is among the parameters.
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
