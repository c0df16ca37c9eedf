"""OpenAI's filters as conditions of the search.

Times are attributes in whole seconds, so that a client can filter with the very values it was shown; the index keeps
microseconds. A comparison with a second is therefore one with the microsecond at its beginning or its end. Days are
attributes as texts, such as 2026-03-01. A conversation without an attribute passes `ne` and `nin`, and nothing else.
"""

import math
from typing import Any, Final

from mh_common.fields import BY_NAME, ConversationField, Kind, day_of, indexed, text_of
from mh_common.models import MAX_ID

from rag_api.integrations.openai.errors import RefusedError
from rag_api.integrations.openai.vector_stores.models import (
    KEYS,
    MAX_VALUES,
    ComparisonFilter,
    CompoundFilter,
    Filter,
)
from rag_api.search.filters import Among, Compared, Comparison, Condition, Either, Every

MAX_DEPTH: Final = 5
MAX_FILTERS: Final = 100
"""Comparisons in all; one with a list of times counts as many as there are times. With both limits the expression stays
within the depth that Milvus takes."""

_SIGNS: Final[dict[str, Comparison]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_UNIT: Final = {Kind.ID: 1, Kind.MOMENT: 1_000_000}
"""How much an attribute's 1 is in the index."""
_MOST: Final = {Kind.ID: MAX_ID, Kind.MOMENT: 10**12}
"""No id and no second is larger: a number beyond is as good as this one, and the index takes no larger one."""


def condition_of(filters: Filter) -> Condition:
    """Return the filter as a condition.

    Raises:
        RefusedError: an attribute nobody knows, a value that is none of its values, or too many filters.
    """
    if _size(filters, depth=1) > MAX_FILTERS:
        raise _refused(f"A filter may be made of at most {MAX_FILTERS} comparisons.")
    return _condition(filters)


def _size(filters: Filter, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise _refused(f"Filters may stand in each other {MAX_DEPTH} deep.")
    if isinstance(filters, CompoundFilter):
        return sum(_size(one, depth + 1) for one in filters.filters)
    field = BY_NAME.get(filters.key)
    return len(_values(filters)) if field is not None and field.kind is Kind.MOMENT else 1


def _condition(filters: Filter) -> Condition:
    if isinstance(filters, CompoundFilter):
        parts = [_condition(one) for one in filters.filters]
        return Every(parts) if filters.type == "and" else Either(parts)
    if filters.key not in BY_NAME:
        raise _refused(f"There is no attribute of this name to filter by. There are {', '.join(KEYS)}.")
    field = BY_NAME[filters.key]
    match field.kind:
        case Kind.CHOICE:
            return _choice(field, filters)
        case Kind.TEXT | Kind.URL:
            return _text(field, filters)
        case Kind.DAY:
            return _day(field, filters)
        case Kind.ID | Kind.MOMENT:
            return _number(field, filters)


def _without_order(field: ConversationField, filters: ComparisonFilter) -> list[Any]:
    if filters.type not in ("eq", "ne", "in", "nin"):
        raise _refused(f"{field.name} has no order: filter by eq, ne, in or nin.")
    return _values(filters)


def _choice(field: ConversationField, filters: ComparisonFilter) -> Condition:
    values = _without_order(field, filters)
    if not all(isinstance(value, str) and value in list(field.choices) for value in values):
        raise _refused(f"{field.name} is one of {', '.join(field.choices)}.")
    return Among(field.name, values, negated=filters.type in ("ne", "nin"))


def _text(field: ConversationField, filters: ComparisonFilter) -> Condition:
    try:
        values = [_kept(field, value) for value in _without_order(field, filters)]
    except ValueError as error:
        raise _refused(f"{field.name} {error}.") from None
    return Among(field.name, values, negated=filters.type in ("ne", "nin"))


def _kept(field: ConversationField, value: Any) -> str:
    if not isinstance(value, str):
        raise _refused(f"{field.name} is a text.")
    return text_of(field, value)


def _day(field: ConversationField, filters: ComparisonFilter) -> Condition:
    try:
        values = [int(indexed(field, day_of(value))) for value in _values(filters)]
    except (ValueError, TypeError):
        raise _refused(f"{field.name} is a day as a text, such as 2026-03-01.") from None
    if filters.type in _SIGNS:
        return Compared(field.name, _SIGNS[filters.type], values[0])
    return Among(field.name, values, negated=filters.type in ("ne", "nin"))


def _number(field: ConversationField, filters: ComparisonFilter) -> Condition:
    values = _values(filters)
    if not all(_is_number(value) for value in values):
        raise _refused(
            f"{field.name} is a number"
            + (", in seconds since 1970, such as 1772366400." if field.kind is Kind.MOMENT else ".")
        )
    most = _MOST[field.kind]
    if filters.type in _SIGNS:
        return _ordered(field, filters.type, max(-most, min(values[0], most)))
    whole = sorted({int(value) for value in values if abs(value) <= most and value == int(value)})
    negated = filters.type in ("ne", "nin")
    if field.kind is Kind.ID:
        return Among(field.name, [value for value in whole if value > 0], negated)
    return Every([_unequal(field, one) for one in whole]) if negated else Either([_equal(field, one) for one in whole])


def _ordered(field: ConversationField, sign: str, value: float) -> Condition:
    """Every attribute is a whole number, so that a comparison with a fraction is one with a whole number as well."""
    unit = _UNIT[field.kind]
    if sign == "gte":
        return Compared(field.name, ">=", math.ceil(value) * unit)
    if sign == "lt":
        return Compared(field.name, "<", math.ceil(value) * unit)
    return Compared(field.name, ">" if sign == "gt" else "<=", math.floor(value) * unit + unit - 1)


def _equal(field: ConversationField, number: int) -> Condition:
    return Every([_ordered(field, "gte", number), _ordered(field, "lte", number)])


def _unequal(field: ConversationField, number: int) -> Condition:
    return Either([_ordered(field, "lt", number), _ordered(field, "gt", number)])


def _values(filters: ComparisonFilter) -> list[Any]:
    is_list = isinstance(filters.value, list)
    if is_list != (filters.type in ("in", "nin")):
        raise _refused(f"The value of {filters.type} is {'one value, not a list' if is_list else 'a list of values'}.")
    if not is_list:
        return [filters.value]
    if len(filters.value) > MAX_VALUES:
        raise _refused(f"A list may have at most {MAX_VALUES:,} values.")
    return list(filters.value)


def _is_number(value: object) -> bool:
    # A bool is an int as well, and JSON as Python reads it knows NaN.
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _refused(message: str) -> RefusedError:
    return RefusedError(message, "filters")
