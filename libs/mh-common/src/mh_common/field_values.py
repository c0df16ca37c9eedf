"""Values of conversation fields: how they are read from text, checked, and stored in the index."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from mh_common.fields import TEXT_KINDS, ConversationField, Kind
from mh_common.text import is_blank, normalized

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = re.compile(r"([0-9]{4})([-./])([0-9]{2})\2([0-9]{2})")
_CONTROL_CHARACTERS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Characters that are invalid in a URL, and invisible ones that disguise it: zero-width and bidirectional marks.
_NOT_IN_URLS: Final = re.compile(r"""[\s<>"\\^`{|}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]""")


def to_index_value(field: ConversationField, value: object) -> int | str:
    """Return a field's value as it is stored in the index.

    Timestamps are microseconds since 1970, dates are ordinals (1 January of year 1 is 1), texts and numbers are stored
    as they are. A missing value is 0 or the empty string, which no real value is: Milvus Lite does not support null.
    """
    if value is None and field.optional:
        return "" if field.kind in (Kind.CHOICE, *TEXT_KINDS) else 0
    if isinstance(value, datetime):
        return to_microseconds(value)
    if isinstance(value, date):
        return value.toordinal()
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{field.name} cannot be {type(value).__name__}")


def to_microseconds(moment: datetime) -> int:
    """Return a timestamp as it is stored in the index: microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_date(text: str) -> date:
    """Parse a date such as 2026-03-01, 2026.03.01 or 2026/03/01. Raises ValueError for anything else."""
    match = _DAY.fullmatch(text)
    if match is None:
        raise ValueError("must be a date such as 2026-03-01")
    return date(int(match[1]), int(match[3]), int(match[4]))


def is_single_line(text: str) -> bool:
    """Return whether a text has neither control characters nor line breaks, as every field value must."""
    return not _CONTROL_CHARACTERS.search(text)


def validate_text(field: ConversationField, text: str) -> str:
    """Return a text or URL as it is stored: without surrounding whitespace, in Unicode's normal form C.

    Raises:
        ValueError: it is not a valid value of this field.
    """
    text = normalized(text.strip())
    if text and is_blank(text):
        raise ValueError("must not be blank: it has no visible character")
    if not 1 <= len(text) <= field.max_length:
        raise ValueError(f"must have 1 to {field.max_length:,} characters")
    if not is_single_line(text):
        raise ValueError("must be on one line, without control characters")
    if field.kind is Kind.URL and not _is_url(text):
        raise ValueError("must be a URL that begins with http:// or https:// and contains no spaces")
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Both raise ValueError when they are invalid, such as a port that is not a number.
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and not _NOT_IN_URLS.search(text)
