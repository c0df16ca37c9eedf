"""The query parameters of the list of conversations and of the export."""

from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from mh_common.fields import FILTERS, FoundAdvice, Origin, ReviewState, RiskLevel, Sentiment
from mh_common.models import (
    MAX_VALUES,
    AtMost,
    Author,
    Category,
    Day,
    FlagParameter,
    ImportTag,
    NumberParameter,
    OneOf,
    QueryText,
    SourceUrl,
    UtcTime,
    WireModel,
)
from mh_common.units import MAX_ID
from pydantic import Field

MAX_IDS: Final = 1000
MAX_LIMIT: Final = 200


class Sort(StrEnum):
    """Sort order of a list; ties are broken by id, in the same direction."""

    ID = "id"
    ID_DESCENDING = "-id"
    CREATED_AT = "created_at"
    CREATED_AT_DESCENDING = "-created_at"
    UPDATED_AT = "updated_at"
    UPDATED_AT_DESCENDING = "-updated_at"

    @property
    def field(self) -> str:
        """The field to sort by."""
        return self.value.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest value comes first."""
        return self.value.startswith("-")


T = TypeVar("T")
AnyOf = Annotated[list[T], AtMost(MAX_VALUES)]


def _any_of(name: str) -> Any:
    """Return the query parameter for the filter with this name, which may be repeated."""
    return Field(default=[], description=f"{FILTERS[name].description[:-1]}; may be repeated.")


def _bound(name: str) -> Any:
    """Return the query parameter for the filter with this name."""
    return Field(default=None, description=FILTERS[name].description)


class ConversationFilters(WireModel):
    """Filters that conversations must all match. Unknown ones are rejected, so that a typo does not match everything.

    There is one for each of `fields.FILTERS`, and `ids` and `q`.
    """

    question_sentiment: AnyOf[OneOf[Sentiment]] = _any_of("question_sentiment")
    answer_sentiment: AnyOf[OneOf[Sentiment]] = _any_of("answer_sentiment")
    created_after: UtcTime | None = Field(default=None, description="Created at or after this ISO 8601 time.")
    created_before: UtcTime | None = _bound("created_before")
    updated_after: UtcTime | None = _bound("updated_after")
    updated_before: UtcTime | None = _bound("updated_before")
    source_url: AnyOf[SourceUrl] = _any_of("source_url")
    source_url_empty: FlagParameter | None = _bound("source_url_empty")
    source_date_after: Day | None = _bound("source_date_after")
    source_date_before: Day | None = _bound("source_date_before")
    source_date_empty: FlagParameter | None = _bound("source_date_empty")
    category: AnyOf[Category] = _any_of("category")
    category_empty: FlagParameter | None = _bound("category_empty")
    author: AnyOf[Author] = _any_of("author")
    author_empty: FlagParameter | None = _bound("author_empty")
    import_tag: AnyOf[ImportTag] = _any_of("import_tag")
    import_tag_empty: FlagParameter | None = _bound("import_tag_empty")
    risk_level: AnyOf[OneOf[RiskLevel]] = _any_of("risk_level")
    risk_level_empty: FlagParameter | None = _bound("risk_level_empty")
    unsafe_advice: AnyOf[OneOf[FoundAdvice]] = _any_of("unsafe_advice")
    unsafe_advice_empty: FlagParameter | None = _bound("unsafe_advice_empty")
    origin: AnyOf[OneOf[Origin]] = _any_of("origin")
    origin_empty: FlagParameter | None = _bound("origin_empty")
    review_state: AnyOf[OneOf[ReviewState]] = _any_of("review_state")
    ids: Annotated[list[Annotated[NumberParameter, Field(ge=1, le=MAX_ID)]], AtMost(MAX_IDS)] = Field(
        default=[],
        description="Only these ids; may be repeated. Ids that do not exist are ignored.",
    )
    q: Annotated[QueryText, Field(max_length=500)] | None = Field(
        default=None,
        description="Words that must all occur in the question or the answer, as a reader sees them; case-insensitive. "
        "MySQL matches most words as a whole, with a full-text index; SQLite reads every row and also finds words "
        "inside other words.",
    )

    @property
    def given(self) -> set[str]:
        """The names of the filters that were given."""
        return self.model_fields_set & ConversationFilters.model_fields.keys()


class ListQuery(ConversationFilters):
    """A page of the list."""

    sort: OneOf[Sort] = Field(default=Sort.ID, description="A leading minus sign reverses the order.")
    cursor: str | None = Field(default=None, max_length=1000, description="`next_cursor` of the previous page.")
    limit: NumberParameter = Field(
        default=50, ge=1, le=MAX_LIMIT, description="Maximum number of conversations on the page."
    )
    include_total: FlagParameter = Field(
        default=False, description="Also return how many conversations match the filters."
    )


class ExportFormat(StrEnum):
    """File format of an export."""

    CSV = "csv"
    JSONL = "jsonl"


class ExportQuery(ConversationFilters):
    """An export."""

    format: OneOf[ExportFormat] = Field(
        default=ExportFormat.CSV, description="CSV (RFC 4180), or one JSON object per line."
    )
    raw: FlagParameter = Field(
        default=False,
        description="Write CSV cells that a spreadsheet would run as they are. Otherwise an apostrophe is put before "
        "them, which an import takes off.",
    )
