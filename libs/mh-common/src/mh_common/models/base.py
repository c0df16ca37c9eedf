"""The base classes of request models, and field types shared by all models.

Both classes are strict: a number is a JSON number and no string, a boolean is no number. What JSON can only send as
text needs a type of its own here (`OneOf`, `UtcTime`, `Day`, `RequestUuid`); without it every value is refused. A list
needs `AtMost`.
"""

import json
import re
from collections.abc import Callable, Sized
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any, ClassVar, Final, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    Strict,
    StringConstraints,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mh_common.field_values import parse_date, validate_text
from mh_common.fields import AUTHOR, CATEGORY, IMPORT_TAG, SOURCE_URL
from mh_common.text import is_blank, normalized, plain_text
from mh_common.units import SourceId

MAX_TEXT_LENGTH = 1_000_000
"""Longest question or answer, in characters after trimming whitespace."""

MAX_BULK_ROWS = 1000
"""Most conversations in one bulk request."""

USER_ID_PATTERN = r"^[\x21-\x7e]{1,128}$"
"""Allowed values of the X-User-Id header, and other ids of people without an account."""

MAX_VALUES = 100
"""Most values of one filter."""

MAX_UNKNOWN_FIELDS: Final = 10
"""Most unknown fields of one JSON object that are named one by one."""

T = TypeVar("T")

OneOf = Annotated[T, Strict(False)]
"""A member of an enum, sent as its text: `OneOf[Sentiment]`."""


@dataclass(frozen=True)
class AtMost:
    """The bounds of a list or object: `Annotated[list[str], AtMost(100)]`.

    The length is checked before any member is. Lists longer than a bulk request report their first wrong member only.

    Attributes:
        most: most members.
        least: fewest members.
        first_error_only: report the first wrong member only, because lists of such lists would have too many.
    """

    most: int
    least: int = 0
    first_error_only: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the list or object with its bounds, which the OpenAPI documents then state as well."""
        schema: Any = handler(source)
        # Python callers may pass tuples; JSON has lists alone.
        schema.update(max_length=self.most, strict=False)
        if self.least:
            schema["min_length"] = self.least
        if schema["type"] == "list" and (self.first_error_only or self.most > MAX_BULK_ROWS):
            schema["fail_fast"] = True
        return core_schema.no_info_before_validator_function(self._bounded, schema)

    def _bounded(self, value: object) -> object:
        if isinstance(value, Sized) and not isinstance(value, str) and len(value) > self.most:
            raise PydanticCustomError("too_long", f"must have at most {self.most:,} members")
        return value


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


def _normalized(value: object) -> object:
    return normalized(value) if isinstance(value, str) else value


def reject_blank(text: str) -> str:
    """Reject a text of which a reader sees nothing."""
    if is_blank(text):
        raise ValueError("must not be blank: it has no visible character")
    return text


def _reject_blank_html(text: str) -> str:
    if is_blank(text) or (("<" in text or "&" in text) and is_blank(plain_text(text))):
        raise ValueError("must not be blank: it has no visible character")
    return text


NORMAL_FORM: Final = BeforeValidator(_normalized)
"""Turns a text into Unicode's normal form C, before its length is checked."""

ConversationText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH),
    AfterValidator(reject_nul),
    AfterValidator(_reject_blank_html),
    NORMAL_FORM,
]
"""A question or an answer: plain text, or HTML that shows some."""

QueryText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=8000),
    AfterValidator(reject_nul),
    AfterValidator(reject_blank),
    NORMAL_FORM,
]

ConversationId = SourceId


def _uuid(value: object) -> object:
    if isinstance(value, UUID) or (isinstance(value, str) and _UUID.fullmatch(value)):
        return value
    raise ValueError("must be a UUID as a string, such as 0d1a6f0e-58a5-4f0e-9d5c-3f6f4a2f7c11")


_UUID: Final = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

RequestUuid = Annotated[UUID, Strict(False), BeforeValidator(_uuid)]
"""A UUID in its usual form, in bodies and paths."""


def _rfc_3339(value: object) -> object:
    # Pydantic would take numbers, and strings of digits, as seconds or milliseconds since 1970.
    if isinstance(value, datetime) or (isinstance(value, str) and _TIME.match(value)):
        return value
    raise ValueError("must be a time with a time zone as a string, for example 2026-03-01T00:00:00Z")


_TIME: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:")


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be between the years 1 and 9999 in UTC") from None


UtcTime = Annotated[AwareDatetime, Strict(False), BeforeValidator(_rfc_3339), AfterValidator(_to_utc)]
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
    NORMAL_FORM,
]
Category = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=CATEGORY.max_length),
    AfterValidator(partial(validate_text, CATEGORY)),
    NORMAL_FORM,
]
Author = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=AUTHOR.max_length),
    AfterValidator(partial(validate_text, AUTHOR)),
    NORMAL_FORM,
]
ImportTag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=IMPORT_TAG.max_length),
    AfterValidator(partial(validate_text, IMPORT_TAG)),
    NORMAL_FORM,
]

Day = Annotated[date, BeforeValidator(_day)]
"""A date sent as 2026-03-01, 2026.03.01 or 2026/03/01."""

# Default of a partial update's fields. Pydantic does not validate defaults, so an explicit null is still rejected.
UNSET: Any = None


class RequestModel(BaseModel):
    """Base of request bodies: strict about types, and null for an optional field is the same as leaving it out.

    Other tools' requests may have further fields, which are ignored; those of the platform itself are a `WireModel`.
    """

    model_config = ConfigDict(strict=True)

    null_is_a_value: ClassVar[frozenset[str]] = frozenset()
    """Optional fields for which null says something else than leaving them out."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        unknown = sum(name not in fields for name in data) if cls.model_config.get("extra") == "forbid" else 0
        if unknown > MAX_UNKNOWN_FIELDS:
            raise ValueError(f"has {unknown:,} unknown fields; remove or correct them")
        return {
            name: value
            for name, value in data.items()
            if value is not None or name not in fields or fields[name].is_required() or name in cls.null_is_a_value
        }


class WireModel(RequestModel):
    """Base of the platform's own request bodies: unknown fields are an error, not ignored."""

    model_config = ConfigDict(extra="forbid")
