"""The fields of a conversation that it can be filtered by, each declared once.

A field has one name: on the wire, of its column in MySQL and of its field in Milvus. What can be asked of it depends on
its kind alone. SQL, Milvus, the typed query, Dify, OpenAI, the client and the command line each say once for a kind
what they make of it, and take the fields from here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

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


class Check(StrEnum):
    """What a filter compares with its value."""

    ANY_OF = "any of"
    FROM = "from"
    """The value itself, and what is after it."""
    BEFORE = "before"


CHECKS: Final[dict[Kind, Sequence[Check]]] = {
    Kind.ID: (Check.ANY_OF,),
    Kind.CHOICE: (Check.ANY_OF,),
    Kind.MOMENT: (Check.FROM, Check.BEFORE),
}
"""The filters that a field of a kind has in lists, exports and searches."""


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
    """

    name: str
    kind: Kind
    stem: str
    typed: str
    subject: str = ""
    choices: Sequence[StrEnum] = ()


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
ID: Final = ConversationField(name="id", kind=Kind.ID, stem="ids", typed="id:1,2,3")

FIELDS: Final = (QUESTION_SENTIMENT, ANSWER_SENTIMENT, CREATED_AT, UPDATED_AT, ID)
BY_NAME: Final = {field.name: field for field in FIELDS}
NAMES: Final = tuple(BY_NAME)


def _filters(field: ConversationField) -> Iterator[Filter]:
    for check in CHECKS[field.kind]:
        if check is Check.FROM:
            yield Filter(f"{field.stem}_after", field, check, f"{field.subject} at or after this time.")
        elif check is Check.BEFORE:
            yield Filter(f"{field.stem}_before", field, check, f"{field.subject} before this time.")
        else:
            what = "Only among these conversations." if field.kind is Kind.ID else "Any of these."
            yield Filter(field.stem, field, check, what)


FILTERS: Final = {one.name: one for field in FIELDS for one in _filters(field)}
"""By name, in the order of the fields."""


def indexed(field: ConversationField, value: object) -> int | str:
    """Return a field's value as the index keeps it: moments in microseconds since 1970, choices and ids as they are."""
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{field.name} cannot be {type(value).__name__}")


def microseconds(moment: datetime) -> int:
    """Return a moment as the index keeps it: microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def listed(names: Sequence[str], last: str) -> str:
    """Return the names as an enumeration: "a, b and c" with " and "."""
    return last.join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
