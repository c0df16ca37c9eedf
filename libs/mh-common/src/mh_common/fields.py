"""The fields of a conversation that it can be filtered by, each declared once.

A field has one name: on the wire, of its column in MySQL and of its field in Milvus. What can be asked of it depends on
its kind alone. SQL, Milvus, the typed query, Dify, OpenAI, the client and the command line each say once for a kind
what they make of it, and take the fields from here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Sentiment(StrEnum):
    """How a text sounds. A filter, not a clinical signal."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class Kind(StrEnum):
    """What values a field has."""

    ID = "id"
    """The key, from 1."""
    CHOICE = "choice"
    """One of a few words."""
    MOMENT = "moment"
    """A time in UTC, to the microsecond."""
    DAY = "day"
    """A day of the calendar."""
    TEXT = "text"
    """A short text on one line, compared exactly."""
    URL = "url"
    """An http or https address, compared exactly."""


OF_TEXT: Final = (Kind.TEXT, Kind.URL)


class Check(StrEnum):
    """What a filter compares with its value."""

    ANY_OF = "any of"
    FROM = "from"
    """The value itself, and what is after it."""
    BEFORE = "before"
    EMPTY = "empty"
    """Whether there is no value."""


CHECKS: Final[dict[Kind, Sequence[Check]]] = {
    Kind.ID: (Check.ANY_OF,),
    Kind.CHOICE: (Check.ANY_OF,),
    Kind.MOMENT: (Check.FROM, Check.BEFORE),
    Kind.DAY: (Check.FROM, Check.BEFORE),
    Kind.TEXT: (Check.ANY_OF,),
    Kind.URL: (Check.ANY_OF,),
}
"""The filters that a field of a kind has in lists, exports and searches. One that may be empty has `EMPTY` as well."""


@dataclass(frozen=True)
class ConversationField:
    """A field.

    Attributes:
        name: on the wire, in MySQL and in Milvus.
        kind: what values it has.
        stem: what the names of its filters begin with.
        typed: how somebody may type a filter by it.
        subject: the beginning of a sentence on its filters.
        choices: its values, of a choice.
        max_length: most characters of a text or URL.
        optional: a conversation may have no value. None compares with a value, in any order; a filter for what is not
            some value finds those without one too.
    """

    name: str
    kind: Kind
    stem: str
    typed: str
    subject: str = ""
    choices: Sequence[StrEnum] = ()
    max_length: int = 0
    optional: bool = False


@dataclass(frozen=True)
class Filter:
    """A filter that lists, exports and searches take by its name."""

    name: str
    field: ConversationField
    check: Check
    description: str


QUESTION_SENTIMENT: Final = ConversationField(
    name="question_sentiment",
    kind=Kind.CHOICE,
    stem="question_sentiment",
    typed="question_sentiment:negative,neutral",
    choices=tuple(Sentiment),
)
ANSWER_SENTIMENT: Final = ConversationField(
    name="answer_sentiment",
    kind=Kind.CHOICE,
    stem="answer_sentiment",
    typed="answer_sentiment:positive",
    choices=tuple(Sentiment),
)
CREATED_AT: Final = ConversationField(
    name="created_at", kind=Kind.MOMENT, stem="created", typed="created_at>=2026-03-01", subject="Created"
)
UPDATED_AT: Final = ConversationField(
    name="updated_at", kind=Kind.MOMENT, stem="updated", typed="updated_at<2026", subject="Updated"
)
SOURCE_URL: Final = ConversationField(
    name="source_url",
    kind=Kind.URL,
    stem="source_url",
    typed="source_url:https://example.org/42",
    max_length=2048,
    optional=True,
)
SOURCE_DATE: Final = ConversationField(
    name="source_date",
    kind=Kind.DAY,
    stem="source_date",
    typed="source_date>=2021-01-01",
    subject="Dated",
    optional=True,
)
CATEGORY: Final = ConversationField(
    name="category",
    kind=Kind.TEXT,
    stem="category",
    typed='category:sleep,"panic attacks"',
    max_length=64,
    optional=True,
)
AUTHOR: Final = ConversationField(
    name="author", kind=Kind.TEXT, stem="author", typed='author:"Jane Doe"', max_length=128, optional=True
)
ID: Final = ConversationField(name="id", kind=Kind.ID, stem="ids", typed="id:1,2,3")

FIELDS: Final = (
    QUESTION_SENTIMENT,
    ANSWER_SENTIMENT,
    CREATED_AT,
    UPDATED_AT,
    SOURCE_URL,
    SOURCE_DATE,
    CATEGORY,
    AUTHOR,
    ID,
)
BY_NAME: Final = {field.name: field for field in FIELDS}
NAMES: Final = tuple(BY_NAME)


def _filters(field: ConversationField) -> Iterator[Filter]:
    on, what = ("on", "day") if field.kind is Kind.DAY else ("at", "time")
    for check in CHECKS[field.kind]:
        if check is Check.FROM:
            yield Filter(f"{field.stem}_after", field, check, f"{field.subject} {on} or after this {what}.")
        elif check is Check.BEFORE:
            yield Filter(f"{field.stem}_before", field, check, f"{field.subject} before this {what}.")
        else:
            among = "Only among these conversations." if field.kind is Kind.ID else "Any of these."
            yield Filter(field.stem, field, check, among)
    if field.optional:
        only = f"true: only those without {field.name}. false: only those with it."
        yield Filter(f"{field.stem}_empty", field, Check.EMPTY, only)


FILTERS: Final = {one.name: one for field in FIELDS for one in _filters(field)}
"""By name, in the order of the fields."""


def indexed(field: ConversationField, value: object) -> int | str:
    """Return a field's value as the index keeps it.

    Moments are microseconds since 1970; days are counted from 1, the first of January of the year 1; texts and numbers
    are as they are. No value is 0 or an empty text, which nothing else is: Milvus Lite takes no null.
    """
    if value is None and field.optional:
        return "" if field.kind in OF_TEXT else 0
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, date):
        return value.toordinal()
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{field.name} cannot be {type(value).__name__}")


def microseconds(moment: datetime) -> int:
    """Return a moment as the index keeps it: microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


_DAY: Final = re.compile(r"([0-9]{4})([-./])([0-9]{2})\2([0-9]{2})")
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What no address has in it, and what shows another one than it is: blanks, marks of no width and of direction.
_NOT_IN_URLS: Final = re.compile(r"""[\s<>"\\^`{|}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]""")


def day_of(text: str) -> date:
    """Return the day that people write as 2026-03-01, 2026.03.01 or 2026/03/01. Raises ValueError for anything else."""
    match = _DAY.fullmatch(text)
    if match is None:
        raise ValueError("must be a day such as 2026-03-01")
    return date(int(match[1]), int(match[3]), int(match[4]))


def is_on_one_line(text: str) -> bool:
    """Say whether a text has no control character and no end of a line in it, as no value of a field has."""
    return not _UNSHOWN.search(text)


def text_of(field: ConversationField, text: str) -> str:
    """Return a text or URL as it is kept: without blanks around it. Raises ValueError: no conversation can have it."""
    text = text.strip()
    if not 1 <= len(text) <= field.max_length:
        raise ValueError(f"must have 1 to {field.max_length:,} characters")
    if not is_on_one_line(text):
        raise ValueError("must be on one line, without control characters")
    if field.kind is Kind.URL and not _is_url(text):
        raise ValueError("must be an address that begins with http:// or https://, without blanks")
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Looked at for what they raise: a port that is none, brackets around what is no address.
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and not _NOT_IN_URLS.search(text)


def listed(names: Sequence[str], last: str) -> str:
    """Return the names as an enumeration: "a, b and c" with " and "."""
    return last.join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
