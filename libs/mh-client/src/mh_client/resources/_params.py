"""Serialisation of query parameters."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from mh_common.models import FieldProblem

from mh_client._errors import InvalidInputError


def query_params(query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the query parameters, without those that are None. Raises InvalidInputError."""
    params: list[tuple[str, str]] = []
    for name, given in query.items():
        values = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        if not values:
            # An empty list would be sent as no filter at all.
            raise InvalidInputError([FieldProblem(field=name, message="must have at least one value")])
        params += [(name, _text(name, value)) for value in values if value is not None]
    return tuple(params)


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidInputError([FieldProblem(field=name, message="must have a time zone")])
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else str(value)
