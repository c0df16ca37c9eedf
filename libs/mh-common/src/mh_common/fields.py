"""The conversation fields that can be filtered by, each declared once.

A field has the same name in JSON, in MySQL and in Milvus. Its kind alone decides which filters it has. SQL, Milvus,
the query syntax, Dify, OpenAI, the client and the command line each implement every kind once and take the fields from
here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Sentiment(StrEnum):
    """The tone of a text. For filtering; not a clinical signal."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class RiskLevel(StrEnum):
    """How pressing a danger is, from nothing to a danger now."""

    NONE = "none"
    """Nothing was noticed."""

    LOW = "low"
    """Risk is a topic, but past, denied, or general."""

    ELEVATED = "elevated"
    """Thoughts, threats, ongoing self-harm, abuse or violence, without a sign that it is about to get worse."""

    ACUTE = "acute"
    """Intent, a plan, means at hand, or an act now or soon."""

    @property
    def rank(self) -> int:
        """Its place among the levels, from 0 for `none`."""
        return list(RiskLevel).index(self)

    @property
    def needs_notice(self) -> bool:
        """Whether a counselor is shown a notice: for elevated and acute risk."""
        return self.rank >= RiskLevel.ELEVATED.rank


class UnsafeAdvice(StrEnum):
    """Why a sentence is never quoted, and left out of what a language model writes."""

    MEDICATION = "medication"
    """To stop, change or refuse medication without the person who prescribes it."""

    DIAGNOSIS = "diagnosis"
    """Tells somebody whom the writer never met what they have."""

    MINIMISING = "minimising"
    """That it is nothing, will pass, or is done for attention."""

    ULTIMATUM = "ultimatum"
    """Threats, ultimatums, and orders to part."""

    FRIGHTENING = "frightening"
    """To frighten, shame, blame, press or isolate somebody, or to convince them that it is hopeless."""

    SILENCE = "silence"
    """Not to ask or speak about a danger, as if that brought it about."""

    SECRECY = "secrecy"
    """To keep a danger secret."""

    LEAVING_ALONE = "leaving_alone"
    """To leave somebody alone, or to look away, who may be in danger."""

    DELAY = "delay"
    """To wait where there is danger, or to do without help."""

    NO_HARM_CONTRACT = "no_harm_contract"
    """That a promise not to harm oneself is enough."""

    ENCOURAGING_HARM = "encouraging_harm"
    """Speaks for harming oneself or others, or says how."""


class FoundAdvice(StrEnum):
    """What reading an answer for advice that can do harm has found: the kind of the first such sentence, or `none`."""

    NONE = "none"
    """Nothing was noticed."""

    MEDICATION = UnsafeAdvice.MEDICATION.value
    DIAGNOSIS = UnsafeAdvice.DIAGNOSIS.value
    MINIMISING = UnsafeAdvice.MINIMISING.value
    ULTIMATUM = UnsafeAdvice.ULTIMATUM.value
    FRIGHTENING = UnsafeAdvice.FRIGHTENING.value
    SILENCE = UnsafeAdvice.SILENCE.value
    SECRECY = UnsafeAdvice.SECRECY.value
    LEAVING_ALONE = UnsafeAdvice.LEAVING_ALONE.value
    DELAY = UnsafeAdvice.DELAY.value
    NO_HARM_CONTRACT = UnsafeAdvice.NO_HARM_CONTRACT.value
    ENCOURAGING_HARM = UnsafeAdvice.ENCOURAGING_HARM.value


class Origin(StrEnum):
    """How a conversation came to the platform."""

    IMPORT = "import"
    """By an import, with many others."""

    PERSON = "person"
    """By somebody who was signed in."""

    API = "api"
    """By a program with an API key, or on a platform without accounts."""

    CONNECTION = "connection"
    """By a connection to another system. Nothing writes it yet."""


class ReviewState(StrEnum):
    """What a curator decided about a conversation."""

    UNREVIEWED = "unreviewed"
    """Nobody has reviewed it since its question and answer were written."""

    APPROVED = "approved"
    """Answers may rest on it."""

    REJECTED = "rejected"
    """No answer rests on it."""


class Kind(StrEnum):
    """The type of a field's values."""

    ID = "id"
    """The primary key, from 1."""
    CHOICE = "choice"
    """One of a fixed set of values."""
    TIMESTAMP = "timestamp"
    """A UTC time with microseconds."""
    DATE = "date"
    """A calendar date."""
    TEXT = "text"
    """A short single-line text, compared exactly."""
    URL = "url"
    """An http or https URL, compared exactly."""


TEXT_KINDS: Final = (Kind.TEXT, Kind.URL)


class Operator(StrEnum):
    """How a filter compares the field with the given value."""

    ANY_OF = "any of"
    GTE = "gte"
    LT = "lt"
    IS_EMPTY = "is empty"
    """Whether the field has no value; the filter takes a boolean."""


OPERATORS: Final[dict[Kind, Sequence[Operator]]] = {
    Kind.ID: (Operator.ANY_OF,),
    Kind.CHOICE: (Operator.ANY_OF,),
    Kind.TIMESTAMP: (Operator.GTE, Operator.LT),
    Kind.DATE: (Operator.GTE, Operator.LT),
    Kind.TEXT: (Operator.ANY_OF,),
    Kind.URL: (Operator.ANY_OF,),
}
"""The operators of each kind in lists, exports and searches. Optional fields have `IS_EMPTY` as well."""


@dataclass(frozen=True)
class ConversationField:
    """A filterable field.

    Attributes:
        name: in JSON, in MySQL and in Milvus.
        kind: the type of its values.
        filter_prefix: the first part of its filters' names.
        example: a filter by this field in the query syntax.
        description_prefix: the first word of its filters' descriptions.
        choices: the allowed values, for `Kind.CHOICE`.
        max_length: longest text or URL, in characters.
        optional: a conversation may have no value. A missing value is neither before nor after any value; a filter that
            excludes a value also finds conversations without one.
        derived: the platform itself finds the value out. It is returned and filtered by, and nobody sends it: neither
            create, update nor import takes it, and it has no part in a conversation's version.
    """

    name: str
    kind: Kind
    filter_prefix: str
    example: str
    description_prefix: str = ""
    choices: Sequence[StrEnum] = ()
    max_length: int = 0
    optional: bool = False
    derived: bool = False


@dataclass(frozen=True)
class Filter:
    """A filter parameter of lists, exports and searches."""

    name: str
    field: ConversationField
    operator: Operator
    description: str


QUESTION_SENTIMENT: Final = ConversationField(
    name="question_sentiment",
    kind=Kind.CHOICE,
    filter_prefix="question_sentiment",
    example="question_sentiment:negative,neutral",
    choices=tuple(Sentiment),
)
ANSWER_SENTIMENT: Final = ConversationField(
    name="answer_sentiment",
    kind=Kind.CHOICE,
    filter_prefix="answer_sentiment",
    example="answer_sentiment:positive",
    choices=tuple(Sentiment),
)
CREATED_AT: Final = ConversationField(
    name="created_at",
    kind=Kind.TIMESTAMP,
    filter_prefix="created",
    example="created_at>=2026-03-01",
    description_prefix="Created",
)
UPDATED_AT: Final = ConversationField(
    name="updated_at",
    kind=Kind.TIMESTAMP,
    filter_prefix="updated",
    example="updated_at<2026",
    description_prefix="Updated",
)
SOURCE_URL: Final = ConversationField(
    name="source_url",
    kind=Kind.URL,
    filter_prefix="source_url",
    example="source_url:https://example.org/42",
    max_length=2048,
    optional=True,
)
SOURCE_DATE: Final = ConversationField(
    name="source_date",
    kind=Kind.DATE,
    filter_prefix="source_date",
    example="source_date>=2021-01-01",
    description_prefix="Dated",
    optional=True,
)
CATEGORY: Final = ConversationField(
    name="category",
    kind=Kind.TEXT,
    filter_prefix="category",
    example='category:sleep,"panic attacks"',
    max_length=64,
    optional=True,
)
AUTHOR: Final = ConversationField(
    name="author", kind=Kind.TEXT, filter_prefix="author", example='author:"Jane Doe"', max_length=128, optional=True
)
IMPORT_TAG: Final = ConversationField(
    name="import_tag",
    kind=Kind.TEXT,
    filter_prefix="import_tag",
    example="import_tag:clinic-2026",
    max_length=128,
    optional=True,
)
RISK_LEVEL: Final = ConversationField(
    name="risk_level",
    kind=Kind.CHOICE,
    filter_prefix="risk_level",
    example="risk_level:elevated,acute",
    choices=tuple(RiskLevel),
    optional=True,
    derived=True,
)
UNSAFE_ADVICE: Final = ConversationField(
    name="unsafe_advice",
    kind=Kind.CHOICE,
    filter_prefix="unsafe_advice",
    example="unsafe_advice:medication,frightening",
    choices=tuple(FoundAdvice),
    optional=True,
    derived=True,
)
ORIGIN: Final = ConversationField(
    name="origin",
    kind=Kind.CHOICE,
    filter_prefix="origin",
    example="origin:import,person",
    choices=tuple(Origin),
    optional=True,
)
REVIEW_STATE: Final = ConversationField(
    name="review_state",
    kind=Kind.CHOICE,
    filter_prefix="review_state",
    example="review_state:approved",
    choices=tuple(ReviewState),
)
ID: Final = ConversationField(name="id", kind=Kind.ID, filter_prefix="ids", example="id:1,2,3")

FIELDS: Final = (
    QUESTION_SENTIMENT,
    ANSWER_SENTIMENT,
    CREATED_AT,
    UPDATED_AT,
    SOURCE_URL,
    SOURCE_DATE,
    CATEGORY,
    AUTHOR,
    IMPORT_TAG,
    RISK_LEVEL,
    UNSAFE_ADVICE,
    ORIGIN,
    REVIEW_STATE,
    ID,
)
BY_NAME: Final = {field.name: field for field in FIELDS}
NAMES: Final = tuple(BY_NAME)


def _filters(field: ConversationField) -> Iterator[Filter]:
    on, what = ("on", "day") if field.kind is Kind.DATE else ("at", "time")
    for operator in OPERATORS[field.kind]:
        if operator is Operator.GTE:
            yield Filter(
                f"{field.filter_prefix}_after",
                field,
                operator,
                f"{field.description_prefix} {on} or after this {what}.",
            )
        elif operator is Operator.LT:
            yield Filter(
                f"{field.filter_prefix}_before", field, operator, f"{field.description_prefix} before this {what}."
            )
        else:
            among = "Only among these conversations." if field.kind is Kind.ID else "Any of these."
            yield Filter(field.filter_prefix, field, operator, among)
    if field.optional:
        only = f"true: only those without {field.name}. false: only those with it."
        yield Filter(f"{field.filter_prefix}_empty", field, Operator.IS_EMPTY, only)


FILTERS: Final = {one.name: one for field in FIELDS for one in _filters(field)}
"""By name, in the order of `FIELDS`."""
