"""Periods of time as people write them: a year, a month, a day, an instant."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from rag_api.search.conditions import microseconds

_DATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_END_OF_TIME: Final = microseconds(datetime.max.replace(tzinfo=UTC)) + 1


def period(text: str) -> tuple[int, int] | None:
    """Return the first moment of a period in UTC and the first one after it, in microseconds since 1970.

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


def _dates(year: str, month: str | None, day: str | None) -> tuple[int, int]:
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
