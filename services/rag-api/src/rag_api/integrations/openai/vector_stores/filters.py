"""Translate OpenAI's filters into filter conditions.

Times are attributes in whole seconds, so that clients can filter by the values they were shown; the index stores
microseconds. A comparison with a second is therefore translated to one with its first or last microsecond. Dates are
string attributes such as 2026-03-01. A conversation without an attribute matches only `ne` and `nin`.
"""

import math
from typing import Any, Final

from mh_common.field_values import parse_date, to_index_value, validate_text
from mh_common.fields import BY_NAME, ConversationField, Kind
from mh_common.models import MAX_ID

from rag_api.integrations.openai.errors import InvalidParamError
from rag_api.integrations.openai.vector_stores.models import (
    KEYS,
    MAX_VALUES,
    ComparisonFilter,
    CompoundFilter,
    Filter,
)
from rag_api.search.filters import And, Compare, ComparisonOperator, Condition, In, Or

MAX_DEPTH: Final = 5
MAX_FILTERS: Final = 100
"""Maximum comparisons in total; one with a list of times counts once for each time. Together with MAX_DEPTH, this keeps
the expression within the nesting depth that Milvus supports."""

_OPERATORS: Final[dict[str, ComparisonOperator]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INDEX_UNIT: Final = {Kind.ID: 1, Kind.TIMESTAMP: 1_000_000}
"""Factor between an attribute's value and the value in the index."""
_MAX_NUMBER: Final = {Kind.ID: MAX_ID, Kind.TIMESTAMP: 10**12}
"""No id or time in seconds is larger. Larger numbers, which the index would reject, are clamped to this."""


def to_condition(filters: Filter) -> Condition:
    """Return the filter as a condition.

    Raises:
        InvalidParamError: an unknown attribute, an invalid value, or too many filters.
    """
    if _count_comparisons(filters, depth=1) > MAX_FILTERS:
        raise _invalid_filter(f"A filter can have at most {MAX_FILTERS} comparisons.")
    return _condition(filters)


def _count_comparisons(filters: Filter, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise _invalid_filter(f"Filters can be nested at most {MAX_DEPTH} levels deep.")
    if isinstance(filters, CompoundFilter):
        return sum(_count_comparisons(one, depth + 1) for one in filters.filters)
    field = BY_NAME.get(filters.key)
    return len(_values(filters)) if field is not None and field.kind is Kind.TIMESTAMP else 1


def _condition(filters: Filter) -> Condition:
    if isinstance(filters, CompoundFilter):
        parts = [_condition(one) for one in filters.filters]
        return And(parts) if filters.type == "and" else Or(parts)
    if filters.key not in BY_NAME:
        raise _invalid_filter(f"Unknown attribute. The filterable attributes are {', '.join(KEYS)}.")
    field = BY_NAME[filters.key]
    match field.kind:
        case Kind.CHOICE:
            return _choice_condition(field, filters)
        case Kind.TEXT | Kind.URL:
            return _text_condition(field, filters)
        case Kind.DATE:
            return _day_condition(field, filters)
        case Kind.ID | Kind.TIMESTAMP:
            return _number_condition(field, filters)


def _equality_values(field: ConversationField, filters: ComparisonFilter) -> list[Any]:
    if filters.type not in ("eq", "ne", "in", "nin"):
        raise _invalid_filter(f"{field.name} has no order. Use eq, ne, in or nin.")
    return _values(filters)


def _choice_condition(field: ConversationField, filters: ComparisonFilter) -> Condition:
    values = _equality_values(field, filters)
    if not all(isinstance(value, str) and value in list(field.choices) for value in values):
        raise _invalid_filter(f"{field.name} must be one of {', '.join(field.choices)}.")
    return In(field.name, values, negated=filters.type in ("ne", "nin"))


def _text_condition(field: ConversationField, filters: ComparisonFilter) -> Condition:
    try:
        values = [_text_value(field, value) for value in _equality_values(field, filters)]
    except ValueError as error:
        raise _invalid_filter(f"{field.name} {error}.") from None
    return In(field.name, values, negated=filters.type in ("ne", "nin"))


def _text_value(field: ConversationField, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid_filter(f"{field.name} must be a string.")
    return validate_text(field, value)


def _day_condition(field: ConversationField, filters: ComparisonFilter) -> Condition:
    try:
        values = [int(to_index_value(field, parse_date(value))) for value in _values(filters)]
    except (ValueError, TypeError):
        raise _invalid_filter(f"{field.name} must be a date as a string, such as 2026-03-01.") from None
    if filters.type in _OPERATORS:
        return Compare(field.name, _OPERATORS[filters.type], values[0])
    return In(field.name, values, negated=filters.type in ("ne", "nin"))


def _number_condition(field: ConversationField, filters: ComparisonFilter) -> Condition:
    values = _values(filters)
    if not all(_is_number(value) for value in values):
        raise _invalid_filter(
            f"{field.name} must be a number"
            + (", in seconds since 1970, such as 1772366400." if field.kind is Kind.TIMESTAMP else ".")
        )
    most = _MAX_NUMBER[field.kind]
    if filters.type in _OPERATORS:
        return _compare(field, filters.type, max(-most, min(values[0], most)))
    whole = sorted({int(value) for value in values if abs(value) <= most and value == int(value)})
    negated = filters.type in ("ne", "nin")
    if field.kind is Kind.ID:
        return In(field.name, [value for value in whole if value > 0], negated)
    return And([_differs(field, one) for one in whole]) if negated else Or([_equals(field, one) for one in whole])


def _compare(field: ConversationField, operator: str, value: float) -> Condition:
    """Return the comparison. Attributes are whole numbers, so a fraction is replaced by its floor or ceiling."""
    unit = _INDEX_UNIT[field.kind]
    if operator == "gte":
        return Compare(field.name, ">=", math.ceil(value) * unit)
    if operator == "lt":
        return Compare(field.name, "<", math.ceil(value) * unit)
    return Compare(field.name, ">" if operator == "gt" else "<=", math.floor(value) * unit + unit - 1)


def _equals(field: ConversationField, number: int) -> Condition:
    return And([_compare(field, "gte", number), _compare(field, "lte", number)])


def _differs(field: ConversationField, number: int) -> Condition:
    return Or([_compare(field, "lt", number), _compare(field, "gt", number)])


def _values(filters: ComparisonFilter) -> list[Any]:
    is_list = isinstance(filters.value, list)
    if is_list != (filters.type in ("in", "nin")):
        raise _invalid_filter(
            f"The value of {filters.type} must be {'a single value, not a list' if is_list else 'a list of values'}."
        )
    if not is_list:
        return [filters.value]
    if len(filters.value) > MAX_VALUES:
        raise _invalid_filter(f"A list can have at most {MAX_VALUES:,} values.")
    return list(filters.value)


def _is_number(value: object) -> bool:
    # A bool is also an int, and Python's JSON parser accepts NaN.
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _invalid_filter(message: str) -> InvalidParamError:
    return InvalidParamError(message, "filters")
