"""Periods of time as people type them (year, month, day, instant), and conditions before, within and after them."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from mh_common.field_values import to_microseconds
from mh_common.fields import BY_NAME, Kind

from rag_api.search.filters import And, Compare, ComparisonOperator, Condition, Or, is_empty

_DATE: Final = re.compile(r"([0-9]{4})(?:([-./])([0-9]{2})(?:\2([0-9]{2}))?)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_END_OF_TIME: Final = to_microseconds(datetime.max.replace(tzinfo=UTC)) + 1

TimeSpan = tuple[int, int]
"""Start (inclusive) and end (exclusive) of a period: UTC microseconds since 1970 or, for date fields, ordinals of days
as the index stores them."""


def parse_period(text: str, kind: Kind = Kind.TIMESTAMP) -> TimeSpan | None:
    """Parse a period for a time or date field; None when the text is not a period.

    `2026`, `2026-03` and `2026-03-01` are a year, a month and a day; dots and slashes work as well. `2026-03-01T12:00Z`
    is an instant of one microsecond, and valid for time fields only.
    """
    try:
        if match := _DATE.fullmatch(text):
            return _bounds(*_days(match[1], match[3], match[4]), kind)
        if kind is Kind.TIMESTAMP and _INSTANT.fullmatch(text):
            instant = to_microseconds(datetime.fromisoformat(text.upper()))
            return instant, instant + 1
    except (ValueError, OverflowError):
        pass
    return None


def compare(field: str, comparison: ComparisonOperator, span: TimeSpan) -> Condition:
    """Return the condition that the field compares to the period as a whole.

    `>` a day means after its end; `<=` a day means up to its end.
    """
    start, end = span
    bound = start if comparison in ("<", ">=") else end
    return Compare(field, "<" if comparison in ("<", "<=") else ">=", bound)


def within(field: str, span: TimeSpan) -> Condition:
    """Return the condition that the field lies within the period."""
    return And([compare(field, ">=", span), compare(field, "<=", span)])


def outside(field: str, span: TimeSpan) -> Condition:
    """Return the negation of `within`; it also holds for a field without a value."""
    sides = [compare(field, "<", span), compare(field, ">", span)]
    return Or([*sides, is_empty(field, negated=False)] if BY_NAME[field].optional else sides)


def _days(year: str, month: str | None, day: str | None) -> tuple[date, date | None]:
    """Return the first day of a period and the first day after it; None if that is after the year 9999."""
    start = date(int(year), int(month or 1), int(day or 1))
    try:
        if day:
            return start, start + timedelta(days=1)
        if month:
            return start, (start + timedelta(days=31)).replace(day=1)
        return start, start.replace(year=start.year + 1)
    except (OverflowError, ValueError):
        return start, None


def _bounds(start: date, end: date | None, kind: Kind) -> TimeSpan:
    if kind is Kind.DATE:
        return start.toordinal(), (end or date.max).toordinal() + (end is None)
    return _midnight(start), _END_OF_TIME if end is None else _midnight(end)


def _midnight(day: date) -> int:
    return to_microseconds(datetime.combine(day, time(), UTC))
