"""Periods of time as people write them, a year, a month, a day, an instant; and what is before, in and after one."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from mh_common.fields import BY_NAME, Kind, microseconds

from rag_api.search.filters import Compared, Comparison, Condition, Either, Every, empty

_DATE: Final = re.compile(r"([0-9]{4})(?:([-./])([0-9]{2})(?:\2([0-9]{2}))?)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_END_OF_TIME: Final = microseconds(datetime.max.replace(tzinfo=UTC)) + 1

Span = tuple[int, int]
"""The first moment of a period in UTC and the first one after it, in microseconds since 1970; for a field of days, the
first day and the first one after it, as the index counts days."""


def period(text: str, kind: Kind = Kind.MOMENT) -> Span | None:
    """Return the period that a text names for a field of moments or days.

    `2026`, `2026-03` and `2026-03-01` are a year, a month and a day, also with dots or slashes; `2026-03-01T12:00Z` is
    an instant, one microsecond long, and no day. None for anything else.
    """
    try:
        if match := _DATE.fullmatch(text):
            return _bounds(*_days(match[1], match[3], match[4]), kind)
        if kind is Kind.MOMENT and _INSTANT.fullmatch(text):
            instant = microseconds(datetime.fromisoformat(text.upper()))
            return instant, instant + 1
    except (ValueError, OverflowError):
        pass
    return None


def compared(field: str, comparison: Comparison, span: Span) -> Condition:
    """Return the condition that the field's moment compares so with the whole period.

    After a day is after its end, up to a day is up to its end.
    """
    start, end = span
    bound = start if comparison in ("<", ">=") else end
    return Compared(field, "<" if comparison in ("<", "<=") else ">=", bound)


def within(field: str, span: Span) -> Condition:
    """Return the condition that the field's moment is in the period."""
    return Every([compared(field, ">=", span), compared(field, "<=", span)])


def outside(field: str, span: Span) -> Condition:
    """Return the opposite of `within`. What has no value is outside as well."""
    sides = [compared(field, "<", span), compared(field, ">", span)]
    return Either([*sides, empty(field, negated=False)] if BY_NAME[field].optional else sides)


def _days(year: str, month: str | None, day: str | None) -> tuple[date, date | None]:
    """Return the first day of a period and the first one after it; None after the last of all."""
    start = date(int(year), int(month or 1), int(day or 1))
    try:
        if day:
            return start, start + timedelta(days=1)
        if month:
            return start, (start + timedelta(days=31)).replace(day=1)
        return start, start.replace(year=start.year + 1)
    except (OverflowError, ValueError):
        return start, None


def _bounds(start: date, end: date | None, kind: Kind) -> Span:
    if kind is Kind.DAY:
        return start.toordinal(), (end or date.max).toordinal() + (end is None)
    return _midnight(start), _END_OF_TIME if end is None else _midnight(end)


def _midnight(day: date) -> int:
    return microseconds(datetime.combine(day, time(), UTC))
