"""Periods of time as people write them, a year, a month, a day, an instant; and what is before, in and after one."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from mh_common.fields import microseconds

from rag_api.search.filters import Compared, Comparison, Condition, Either, Every

_DATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_END_OF_TIME: Final = microseconds(datetime.max.replace(tzinfo=UTC)) + 1

Span = tuple[int, int]
"""The first moment of a period in UTC and the first one after it, in microseconds since 1970."""


def period(text: str) -> Span | None:
    """Return the period that a text names.

    `2026`, `2026-03` and `2026-03-01` are a year, a month and a day; `2026-03-01T12:00Z` is an instant, one microsecond
    long. None for anything else.
    """
    try:
        if match := _DATE.fullmatch(text):
            return _dates(*match.groups())
        if _INSTANT.fullmatch(text):
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
    """Return the opposite of `within`."""
    return Either([compared(field, "<", span), compared(field, ">", span)])


def _dates(year: str, month: str | None, day: str | None) -> Span:
    start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    try:
        if day:
            end = start + timedelta(days=1)
        elif month:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            end = start.replace(year=start.year + 1)
    except (OverflowError, ValueError):
        return microseconds(start), _END_OF_TIME
    return microseconds(start), microseconds(end)
