"""Dify's metadata conditions as conditions of the index, exactly.

Choices take the operators of texts, ids those of numbers, moments those of times; what an operator cannot mean for a
field is refused, as is a value that no conversation can have. No field is ever empty.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mh_common.errors import InvalidRequestError
from mh_common.fields import BY_NAME, NAMES, ConversationField, Kind
from mh_common.models import MAX_ID, FieldProblem

from rag_api.integrations.dify.models import MetadataCondition, MetadataFilter, Scalar
from rag_api.search.filters import (
    NOTHING,
    Among,
    Compared,
    Comparison,
    Condition,
    Either,
    Every,
)
from rag_api.search.periods import Span, compared, outside, period, within

Value = Scalar | Sequence[Scalar] | None

_OPPOSITES: Final = {
    "not contains": "contains",
    "is not": "is",
    "≠": "=",
    "not in": "in",
    "not empty": "empty",
    "not null": "null",
}
"""These hold exactly where their opposite does not."""

_EMPTY: Final = ("empty", "null")
_EQUAL: Final = ("is", "=")
_PARTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "start with": str.startswith,
    "end with": str.endswith,
}
_SIGNS: Final[Mapping[str, Comparison]] = {"<": "<", "≤": "<=", ">": ">", "≥": ">="}
_TIME_SIGNS: Final[Mapping[str, Comparison]] = {**_SIGNS, "before": "<", "after": ">"}

OPERATORS: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.CHOICE: (*_PARTS, *_EQUAL, "in"),
    Kind.MOMENT: (*_EQUAL, "in", *_TIME_SIGNS),
    Kind.ID: (*_EQUAL, "in", *_SIGNS),
}
"""What suits a kind, besides `empty` and `null` and the opposites of all these."""

_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
"""Of the years 1 to 9999, since 1970."""
_YEARS: Final = range(1, 10_000)


class _RefusedError(Exception):
    """A condition cannot be used: the part of it that is wrong, and what to change."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


def condition_of(given: MetadataCondition | None) -> Condition:
    """Return what a metadata condition asks for.

    Raises:
        InvalidRequestError: a field is unknown, or operator or value do not suit it; names each such place.
    """
    if given is None or not given.conditions:
        return Every()
    parts: list[Condition] = []
    problems: list[FieldProblem] = []
    for place, one in enumerate(given.conditions):
        try:
            parts.append(_condition(one))
        except _RefusedError as refused:
            path = f"metadata_condition.conditions.{place}.{refused.part}"
            problems.append(FieldProblem(field=path, message=str(refused)))
    if problems:
        raise InvalidRequestError("The metadata condition cannot be used.", problems)
    return Either(parts) if given.logical_operator == "or" else Every(parts)


def _condition(one: MetadataFilter) -> Condition:
    names = [one.name] if isinstance(one.name, str) else one.name
    negated = one.comparison_operator in _OPPOSITES
    operator = _OPPOSITES.get(one.comparison_operator, one.comparison_operator)
    leaves = [_leaf(name, operator, one.value, negated=negated) for name in names]
    return Every(leaves) if negated else Either(leaves)


def _leaf(name: str, operator: str, value: Value, *, negated: bool) -> Condition:
    field = BY_NAME.get(name)
    if field is None:
        raise _RefusedError("name", f"is no field to filter by; these are {', '.join(NAMES)}")
    if operator in _EMPTY:
        return Every() if negated else NOTHING
    if operator not in OPERATORS[field.kind]:
        raise _RefusedError("comparison_operator", f"does not suit {name}, which takes {', '.join(suitable(field))}")
    match field.kind:
        case Kind.CHOICE:
            return _choice(field, operator, value, negated=negated)
        case Kind.MOMENT:
            return _moment(name, operator, value, negated=negated)
        case Kind.ID:
            return _id(name, operator, value, negated=negated)


def suitable(field: ConversationField) -> list[str]:
    """Return the operators that a field takes."""
    operators = (*OPERATORS[field.kind], *_EMPTY)
    return [*operators, *(opposite for opposite, operator in _OPPOSITES.items() if operator in operators)]


def _choice(field: ConversationField, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _PARTS:
        part = _one(value)
        if not isinstance(part, str):
            raise _RefusedError("value", "must be a text with this operator")
        return Among(field.name, [one for one in field.choices if _PARTS[operator](one, part.lower())], negated)
    values = _several(value) if operator == "in" else [_one(value)]
    return Among(field.name, [_chosen(field, one) for one in values], negated)


def _id(name: str, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _SIGNS:
        return Compared(name, _SIGNS[operator], _whole_number(_one(value)))
    values = _several(value) if operator == "in" else [_one(value)]
    return Among(name, [_whole_number(one) for one in values], negated)


def _moment(name: str, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _TIME_SIGNS:
        return compared(name, _TIME_SIGNS[operator], _span(_one(value)))
    spans = [_span(one) for one in (_several(value) if operator == "in" else [_one(value)])]
    if negated:
        return Every([outside(name, span) for span in spans])
    return Either([within(name, span) for span in spans])


def _one(value: Value) -> Scalar:
    if value is None or value == "":
        raise _RefusedError("value", "is required with this operator")
    if not isinstance(value, str | int | float):
        raise _RefusedError("value", "must be a single text or number with this operator; for a list use in or not in")
    return value


def _several(value: Value) -> Sequence[Scalar]:
    if isinstance(value, str):
        value = [part for text in value.split(",") if (part := text.strip())] or None
    if value is None:
        raise _RefusedError("value", "is required with this operator")
    return [value] if isinstance(value, int | float) else value


def _chosen(field: ConversationField, value: Scalar) -> str:
    chosen = str(value).lower()
    if chosen not in list(field.choices):
        raise _RefusedError("value", f"must be one of {', '.join(field.choices)}")
    return chosen


def _whole_number(value: Scalar) -> int:
    # Not int() alone, which takes digits of every script, signs and underscores.
    if isinstance(value, str):
        number = int(value) if re.fullmatch("[0-9]{1,19}", value) else None
    else:
        number = int(value) if value % 1 == 0 else None
    if number is None or not 0 <= number <= MAX_ID:
        raise _RefusedError("value", f"must be the number of a conversation, from 0 to {MAX_ID}")
    return number


def _span(value: Scalar) -> Span:
    if isinstance(value, str):
        if span := period(value):
            return span
        # Workflows pass numbers on as texts. Fewer digits are rather meant as a date.
        seconds: float | None = int(value) if re.fullmatch("[0-9]{9,12}", value) else None
    else:
        seconds = value
    if seconds is None or seconds in _YEARS or not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise _RefusedError(
            "value",
            'must be a time with its zone ("2026-03-01T12:00:00Z"), a day ("2026-03-01"), a month or a year as a text, '
            "or a number of seconds since 1970",
        )
    start = round(seconds * 1_000_000)
    return start, start + 1
