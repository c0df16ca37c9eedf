"""Translate Dify's metadata conditions into filter conditions.

Choices, texts and URLs support the operators of strings, ids those of numbers, times and dates those of times.
Operators that make no sense for a field are rejected, and so are values that no conversation can have. A condition with
`not` or `≠` is the exact negation of its opposite, so it also holds when there is no value.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from mh_common.errors import InvalidRequestError
from mh_common.field_values import is_single_line, validate_text
from mh_common.fields import BY_NAME, NAMES, ConversationField, Kind
from mh_common.models import MAX_ID, FieldProblem
from mh_common.text import is_blank, normalized

from rag_api.integrations.dify.models import MetadataCondition, MetadataFilter, Scalar
from rag_api.search.filters import (
    MATCH_ALL,
    And,
    Compare,
    ComparisonOperator,
    Condition,
    In,
    Not,
    Or,
    Position,
    Substring,
    is_empty,
)
from rag_api.search.periods import TimeSpan, compare, outside, parse_period, within

Value = Scalar | Sequence[Scalar] | None

_OPPOSITES: Final = {
    "not contains": "contains",
    "is not": "is",
    "≠": "=",
    "not in": "in",
    "not empty": "empty",
    "not null": "null",
}
"""Negated operators and what they negate."""

_EMPTINESS_OPERATORS: Final = ("empty", "null")
_EQUALITY_OPERATORS: Final = ("is", "=")
_SUBSTRING_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "start with": str.startswith,
    "end with": str.endswith,
}
_POSITIONS: Final[Mapping[str, Position]] = {"contains": "anywhere", "start with": "start", "end with": "end"}
_ORDER_OPERATORS: Final[Mapping[str, ComparisonOperator]] = {"<": "<", "≤": "<=", ">": ">", "≥": ">="}
_TIME_OPERATORS: Final[Mapping[str, ComparisonOperator]] = {**_ORDER_OPERATORS, "before": "<", "after": ">"}

OPERATORS: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.CHOICE: (*_SUBSTRING_OPERATORS, *_EQUALITY_OPERATORS, "in"),
    Kind.TIMESTAMP: (*_EQUALITY_OPERATORS, "in", *_TIME_OPERATORS),
    Kind.DATE: (*_EQUALITY_OPERATORS, "in", *_TIME_OPERATORS),
    Kind.TEXT: (*_SUBSTRING_OPERATORS, *_EQUALITY_OPERATORS, "in"),
    Kind.URL: (*_SUBSTRING_OPERATORS, *_EQUALITY_OPERATORS, "in"),
    Kind.ID: (*_EQUALITY_OPERATORS, "in", *_ORDER_OPERATORS),
}
"""Operators by kind of field, besides `empty`, `null` and the negations of all these."""

_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
"""First and last second of the years 1 to 9999, since 1970."""
_FIRST_OF_1970: Final = date(1970, 1, 1).toordinal()
_DAY_S: Final = 86_400
_YEARS: Final = range(1, 10_000)


class _ConditionError(Exception):
    """A condition is invalid: the key that is wrong, and what to change."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def to_condition(metadata_condition: MetadataCondition | None) -> Condition:
    """Return the filter condition for a metadata condition.

    Raises:
        InvalidRequestError: a field is unknown, or an operator or value is invalid for it; lists every such error.
    """
    if metadata_condition is None or not metadata_condition.conditions:
        return MATCH_ALL
    parts: list[Condition] = []
    problems: list[FieldProblem] = []
    for place, one in enumerate(metadata_condition.conditions):
        try:
            parts.append(_condition(one))
        except _ConditionError as error:
            path = f"metadata_condition.conditions.{place}.{error.key}"
            problems.append(FieldProblem(field=path, message=str(error)))
    if problems:
        raise InvalidRequestError("The metadata condition is invalid.", problems)
    return Or(parts) if metadata_condition.logical_operator == "or" else And(parts)


def _condition(one: MetadataFilter) -> Condition:
    names = [one.name] if isinstance(one.name, str) else one.name
    negated = one.comparison_operator in _OPPOSITES
    operator = _OPPOSITES.get(one.comparison_operator, one.comparison_operator)
    leaves = [_field_condition(name, operator, one.value, negated=negated) for name in names]
    return And(leaves) if negated else Or(leaves)


def _field_condition(name: str, operator: str, value: Value, *, negated: bool) -> Condition:
    field = BY_NAME.get(name)
    if field is None:
        raise _ConditionError("name", f"is not a filterable field; use one of {', '.join(NAMES)}")
    if operator in _EMPTINESS_OPERATORS:
        return is_empty(name, negated=negated)
    if operator not in OPERATORS[field.kind]:
        raise _ConditionError(
            "comparison_operator", f"is not supported for {name}; use one of {', '.join(operators_for(field))}"
        )
    match field.kind:
        case Kind.CHOICE:
            return _choice_condition(field, operator, value, negated=negated)
        case Kind.TEXT | Kind.URL:
            return _text_condition(field, operator, value, negated=negated)
        case Kind.TIMESTAMP | Kind.DATE:
            return _time_condition(field, operator, value, negated=negated)
        case Kind.ID:
            return _id_condition(name, operator, value, negated=negated)


def operators_for(field: ConversationField) -> list[str]:
    """Return the operators that a field supports."""
    operators = (*OPERATORS[field.kind], *_EMPTINESS_OPERATORS)
    return [*operators, *(opposite for opposite, operator in _OPPOSITES.items() if operator in operators)]


def _choice_condition(field: ConversationField, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _SUBSTRING_OPERATORS:
        part = _single_value(value)
        if not isinstance(part, str):
            raise _ConditionError("value", "must be a string for this operator")
        return In(
            field.name, [one for one in field.choices if _SUBSTRING_OPERATORS[operator](one, part.lower())], negated
        )
    values = _value_list(value) if operator == "in" else [_single_value(value)]
    return In(field.name, [_validate_choice(field, one) for one in values], negated)


def _text_condition(field: ConversationField, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _SUBSTRING_OPERATORS:
        part = Substring(field.name, _substring_value(field, _single_value(value)), _POSITIONS[operator])
        return Not(part) if negated else part
    values = _value_list(value) if operator == "in" else [_single_value(value)]
    return In(field.name, [_text_value(field, one) for one in values], negated)


def _id_condition(name: str, operator: str, value: Value, *, negated: bool) -> Condition:
    if operator in _ORDER_OPERATORS:
        return Compare(name, _ORDER_OPERATORS[operator], _id_value(_single_value(value)))
    values = _value_list(value) if operator == "in" else [_single_value(value)]
    return In(name, [_id_value(one) for one in values], negated)


def _time_condition(field: ConversationField, operator: str, value: Value, *, negated: bool) -> Condition:
    name = field.name
    if operator in _TIME_OPERATORS:
        return compare(name, _TIME_OPERATORS[operator], _time_span(field, _single_value(value)))
    spans = [_time_span(field, one) for one in (_value_list(value) if operator == "in" else [_single_value(value)])]
    if negated:
        return And([outside(name, span) for span in spans])
    return Or([within(name, span) for span in spans])


def _single_value(value: Value) -> Scalar:
    if value is None or (isinstance(value, str) and is_blank(value)):
        raise _ConditionError("value", "is required for this operator")
    if not isinstance(value, str | int | float):
        raise _ConditionError(
            "value", "must be a single string or number for this operator; use in or not in for a list"
        )
    return value


def _value_list(value: Value) -> Sequence[Scalar]:
    if isinstance(value, str):
        value = [part for text in value.split(",") if (part := text.strip())] or None
    if value is None:
        raise _ConditionError("value", "is required for this operator")
    return [value] if isinstance(value, int | float) else value


def _validate_choice(field: ConversationField, value: Scalar) -> str:
    chosen = str(value).lower()
    if chosen not in list(field.choices):
        raise _ConditionError("value", f"must be one of {', '.join(field.choices)}")
    return chosen


def _substring_value(field: ConversationField, value: Scalar) -> str:
    if not isinstance(value, str):
        raise _ConditionError("value", "must be a string for this operator")
    value = normalized(value)
    if len(value) > field.max_length or not is_single_line(value):
        raise _ConditionError("value", f"must be at most {field.max_length:,} characters on one line")
    return value


def _text_value(field: ConversationField, value: Scalar) -> str:
    if not isinstance(value, str):
        raise _ConditionError("value", "must be a string for this field")
    try:
        return validate_text(field, value)
    except ValueError as error:
        raise _ConditionError("value", str(error)) from None


def _id_value(value: Scalar) -> int:
    # int() alone would also accept digits of any script, signs and underscores.
    if isinstance(value, str):
        number = int(value) if re.fullmatch("[0-9]{1,19}", value) else None
    else:
        number = int(value) if value % 1 == 0 else None
    if number is None or not 0 <= number <= MAX_ID:
        raise _ConditionError("value", f"must be a conversation id, from 0 to {MAX_ID}")
    return number


def _time_span(field: ConversationField, value: Scalar) -> TimeSpan:
    if isinstance(value, str):
        if span := parse_period(value, field.kind):
            return span
        # Workflows pass numbers as strings. Fewer digits are more likely meant as a date.
        seconds: float | None = int(value) if re.fullmatch("[0-9]{9,12}", value) else None
    else:
        seconds = value
    if seconds is None or seconds in _YEARS or not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        zone = "" if field.kind is Kind.DATE else 'a time with a time zone ("2026-03-01T12:00:00Z"), '
        raise _ConditionError(
            "value",
            f'must be {zone}a day ("2026-03-01"), a month or a year as a string, or a number of seconds since 1970',
        )
    if field.kind is Kind.DATE:
        day = _FIRST_OF_1970 + int(seconds // _DAY_S)
        return day, day + 1
    start = round(seconds * 1_000_000)
    return start, start + 1
