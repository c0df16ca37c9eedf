"""Dify's metadata conditions as conditions of the index, exactly.

Choices, texts and URLs take the operators of texts, ids those of numbers, moments and days those of times; what an
operator cannot mean for a field is refused, as is a value that no conversation can have. A condition with `not` or `≠`
holds exactly where its opposite does not, so where there is no value as well.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from mh_common.errors import InvalidRequestError
from mh_common.fields import BY_NAME, NAMES, ConversationField, Kind, is_on_one_line, text_of
from mh_common.models import MAX_ID, FieldProblem

from rag_api.integrations.dify.models import MetadataCondition, MetadataFilter, Scalar
from rag_api.search.filters import (
    Among,
    Compared,
    Comparison,
    Condition,
    Either,
    Every,
    Part,
    Place,
    Without,
    empty,
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
_PLACES: Final[Mapping[str, Place]] = {"contains": "anywhere", "start with": "start", "end with": "end"}
_SIGNS: Final[Mapping[str, Comparison]] = {"<": "<", "≤": "<=", ">": ">", "≥": ">="}
_TIME_SIGNS: Final[Mapping[str, Comparison]] = {**_SIGNS, "before": "<", "after": ">"}

OPERATORS: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.CHOICE: (*_PARTS, *_EQUAL, "in"),
    Kind.MOMENT: (*_EQUAL, "in", *_TIME_SIGNS),
    Kind.DAY: (*_EQUAL, "in", *_TIME_SIGNS),
    Kind.TEXT: (*_PARTS, *_EQUAL, "in"),
    Kind.URL: (*_PARTS, *_EQUAL, "in"),
    Kind.ID: (*_EQUAL, "in", *_SIGNS),
}
"""What suits a kind, besides `empty` and `null` and the opposites of all these."""

_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
"""Of the years 1 to 9999, since 1970."""
_FIRST_OF_1970: Final = date(1970, 1, 1).toordinal()
_DAY_S: Final = 86_400
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
        return empty(name, negated=negated)
    if operator not in OPERATORS[field.kind]:
        raise _RefusedError("comparison_operator", f"does not suit {name}, which takes {', '.join(suitable(field))}")
    match field.kind:
        case Kind.CHOICE:
            return _choice(field, operator, value, negated=negated)
        case Kind.TEXT | Kind.URL:
            return _text(field, operator, value, negated=negated)
        case Kind.MOMENT | Kind.DAY:
            return _moment(field, operator, value, negated=negated)
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


def _text(field: ConversationField, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _PARTS:
        part = Part(field.name, _part_of_text(field, _one(value)), _PLACES[operator])
        return Without(part) if negated else part
    values = _several(value) if operator == "in" else [_one(value)]
    return Among(field.name, [_known_text(field, one) for one in values], negated)


def _id(name: str, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _SIGNS:
        return Compared(name, _SIGNS[operator], _whole_number(_one(value)))
    values = _several(value) if operator == "in" else [_one(value)]
    return Among(name, [_whole_number(one) for one in values], negated)


def _moment(field: ConversationField, operator: str, value: Value, *, negated: bool) -> Condition:
    name = field.name
    if operator in _TIME_SIGNS:
        return compared(name, _TIME_SIGNS[operator], _span(field, _one(value)))
    spans = [_span(field, one) for one in (_several(value) if operator == "in" else [_one(value)])]
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


def _part_of_text(field: ConversationField, value: Scalar) -> str:
    if not isinstance(value, str):
        raise _RefusedError("value", "must be a text with this operator")
    if len(value) > field.max_length or not is_on_one_line(value):
        raise _RefusedError("value", f"must have at most {field.max_length:,} characters, on one line")
    return value


def _known_text(field: ConversationField, value: Scalar) -> str:
    try:
        return text_of(field, str(value))
    except ValueError as error:
        raise _RefusedError("value", str(error)) from None


def _whole_number(value: Scalar) -> int:
    # Not int() alone, which takes digits of every script, signs and underscores.
    if isinstance(value, str):
        number = int(value) if re.fullmatch("[0-9]{1,19}", value) else None
    else:
        number = int(value) if value % 1 == 0 else None
    if number is None or not 0 <= number <= MAX_ID:
        raise _RefusedError("value", f"must be the number of a conversation, from 0 to {MAX_ID}")
    return number


def _span(field: ConversationField, value: Scalar) -> Span:
    if isinstance(value, str):
        if span := period(value, field.kind):
            return span
        # Workflows pass numbers on as texts. Fewer digits are rather meant as a date.
        seconds: float | None = int(value) if re.fullmatch("[0-9]{9,12}", value) else None
    else:
        seconds = value
    if seconds is None or seconds in _YEARS or not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        zone = "" if field.kind is Kind.DAY else 'a time with its zone ("2026-03-01T12:00:00Z"), '
        raise _RefusedError(
            "value",
            f'must be {zone}a day ("2026-03-01"), a month or a year as a text, or a number of seconds since 1970',
        )
    if field.kind is Kind.DAY:
        day = _FIRST_OF_1970 + int(seconds // _DAY_S)
        return day, day + 1
    start = round(seconds * 1_000_000)
    return start, start + 1
