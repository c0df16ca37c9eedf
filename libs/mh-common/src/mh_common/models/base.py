"""What the models of all nouns share: the base of what clients send, and the types of their fields."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from mh_common.fields import AUTHOR, CATEGORY, SOURCE_URL, day_of, text_of
from mh_common.units import SourceId

MAX_TEXT_LENGTH = 1_000_000
"""Longest question or answer in characters, after trimming."""

MAX_BULK_ROWS = 1000
"""Most conversations in one bulk request."""

USER_ID_PATTERN = r"^[\x21-\x7e]{1,128}$"
"""What the header X-User-Id may hold."""

MAX_VALUES = 100
"""Most texts that one filter names."""


def without_nul(text: str) -> str:
    """Refuse what not every store keeps. (Halves of surrogate pairs, which have no UTF-8 form, pydantic refuses.)"""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character (U+0000)")
    return text


def json_of_at_most(size: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the check that a JSON object, written without spaces, has at most `size` bytes."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        # NaN and infinity, which some parsers pass, are refused here.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if len(text.encode()) > size:
            raise ValueError(f"must be at most {size:,} bytes of JSON")
        return value

    return check


ConversationText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH),
    AfterValidator(without_nul),
]

QueryText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000), AfterValidator(without_nul)
]

ConversationId = SourceId


def _iso_8601(value: object) -> object:
    # Pydantic alone takes bare numbers for seconds since 1970.
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise ValueError("must be an ISO 8601 time with its zone, for example 2026-03-01T00:00:00Z")
    return value


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


UtcTime = Annotated[AwareDatetime, BeforeValidator(_iso_8601), AfterValidator(_to_utc)]
"""A moment given with its zone, in UTC."""


def _day(value: object) -> object:
    if isinstance(value, str):
        return day_of(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    # Pydantic alone takes numbers for seconds since 1970, and times at midnight.
    raise ValueError("must be a day such as 2026-03-01")


SourceUrl = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=SOURCE_URL.max_length),
    AfterValidator(partial(text_of, SOURCE_URL)),
]
Category = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=CATEGORY.max_length),
    AfterValidator(partial(text_of, CATEGORY)),
]
Author = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=AUTHOR.max_length),
    AfterValidator(partial(text_of, AUTHOR)),
]

Day = Annotated[date, BeforeValidator(_day)]
"""A day as people write it: 2026-03-01, 2026.03.01 or 2026/03/01."""

# A field of a partial update that was not sent. Pydantic does not check defaults, and a null that is sent is refused.
LEFT_OUT: Any = None


class WireModel(BaseModel):
    """Base of what clients send: a field that nobody knows is an error, not silence."""

    model_config = ConfigDict(extra="forbid")
