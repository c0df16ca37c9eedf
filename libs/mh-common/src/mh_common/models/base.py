"""The base class of request models, and field types shared by all models."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from mh_common.fields import AUTHOR, CATEGORY, SOURCE_URL, parse_date, validate_text
from mh_common.units import SourceId

MAX_TEXT_LENGTH = 1_000_000
"""Longest question or answer, in characters after trimming whitespace."""

MAX_BULK_ROWS = 1000
"""Most conversations in one bulk request."""

USER_ID_PATTERN = r"^[\x21-\x7e]{1,128}$"
"""Allowed values of the X-User-Id header."""

MAX_VALUES = 100
"""Most values of one filter."""


def reject_nul(text: str) -> str:
    """Reject the NUL character, which not every store accepts. (Pydantic itself rejects lone surrogates.)"""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character (U+0000)")
    return text


def max_json_bytes(size: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a validator: the JSON object, serialised without whitespace, has at most `size` bytes."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        # allow_nan=False rejects NaN and infinity, which some parsers accept.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if len(text.encode()) > size:
            raise ValueError(f"must be at most {size:,} bytes of JSON")
        return value

    return check


ConversationText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH),
    AfterValidator(reject_nul),
]

QueryText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000), AfterValidator(reject_nul)
]

ConversationId = SourceId


def _iso_8601(value: object) -> object:
    # Pydantic would parse a numeric string as seconds since 1970.
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise ValueError("must be an ISO 8601 time with a time zone, for example 2026-03-01T00:00:00Z")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be between the years 1 and 9999 in UTC") from None


UtcTime = Annotated[AwareDatetime, BeforeValidator(_iso_8601), AfterValidator(_to_utc)]
"""A time sent with its time zone, converted to UTC."""


def _day(value: object) -> object:
    if isinstance(value, str):
        return parse_date(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    # Pydantic would accept numbers (seconds since 1970) and times at midnight.
    raise ValueError("must be a date such as 2026-03-01")


SourceUrl = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=SOURCE_URL.max_length),
    AfterValidator(partial(validate_text, SOURCE_URL)),
]
Category = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=CATEGORY.max_length),
    AfterValidator(partial(validate_text, CATEGORY)),
]
Author = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=AUTHOR.max_length),
    AfterValidator(partial(validate_text, AUTHOR)),
]

Day = Annotated[date, BeforeValidator(_day)]
"""A date sent as 2026-03-01, 2026.03.01 or 2026/03/01."""

# Default of a partial update's fields. Pydantic does not validate defaults, so an explicit null is still rejected.
UNSET: Any = None


class WireModel(BaseModel):
    """Base of request models: unknown fields are an error, not ignored."""

    model_config = ConfigDict(extra="forbid")
