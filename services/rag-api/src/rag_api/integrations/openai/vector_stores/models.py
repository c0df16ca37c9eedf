"""Request and response models of vector store search. Unknown fields are ignored."""

from datetime import date
from typing import Annotated, Any, Final, Literal

from mh_common.fields import ID, NAMES
from mh_common.models import AtMost, QueryRisk, QueryText, RequestModel, Risk
from mh_common.wording import join_names
from pydantic import BaseModel, ConfigDict, Field

KEYS: Final = (ID.name, *(name for name in NAMES if name != ID.name))
"""The filterable attributes."""

MAX_RESULTS = 50
MAX_QUERIES = 10
MAX_VALUES = 1000


class ComparisonFilter(RequestModel):
    """A comparison of an attribute with a value."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str = Field(description=f"{join_names(KEYS, ' or ')}.")
    value: Any = Field(
        description="A value of the attribute's type: a number for id and, in seconds since 1970, for times; a string "
        "such as 2026-03-01 for dates; positive, negative or neutral for sentiments. For in and nin, a list of at most "
        "1,000 values."
    )


class CompoundFilter(RequestModel):
    """All or any of the filters must match."""

    type: Literal["and", "or"]
    filters: Annotated[list["Filter"], AtMost(100, least=1, first_error_only=True)]


Filter = Annotated[ComparisonFilter | CompoundFilter, Field(discriminator="type")]


class RankingOptions(RequestModel):
    """Ranking options. `ranker` is ignored: there is only one."""

    score_threshold: float | None = Field(default=None, ge=0, le=1, description="Minimum score of a result.")


class StoreSearchRequest(RequestModel):
    """A search."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "panic on the bus",
                    "max_num_results": 3,
                    "filters": {"type": "eq", "key": "question_sentiment", "value": "negative"},
                }
            ]
        }
    )

    query: QueryText | Annotated[list[QueryText], AtMost(MAX_QUERIES, least=1)] = Field(
        description="Plain text, or a list of at most 10 texts; a conversation found by several has its best score."
    )
    max_num_results: int = Field(default=10, ge=1, le=MAX_RESULTS)
    filters: Filter | None = Field(default=None, description="Conditions that the conversations must satisfy.")
    ranking_options: RankingOptions | None = None


def _absent(value: object) -> bool:
    return value is None


class ResultAttributes(BaseModel):
    """The filterable attributes, and a link. Times are in whole seconds since 1970. Missing values are omitted."""

    id: int
    question_sentiment: str
    answer_sentiment: str
    created_at: int
    updated_at: int
    source_url: str | None = Field(default=None, exclude_if=_absent)
    source_date: date | None = Field(default=None, exclude_if=_absent)
    category: str | None = Field(default=None, exclude_if=_absent)
    author: str | None = Field(default=None, exclude_if=_absent)
    import_tag: str | None = Field(default=None, exclude_if=_absent)
    risk_level: str | None = Field(default=None, exclude_if=_absent)
    unsafe_advice: str | None = Field(default=None, exclude_if=_absent)
    origin: str | None = Field(default=None, exclude_if=_absent)
    review_state: str
    url: str


class ResultContent(BaseModel):
    """A text content part."""

    type: Literal["text"] = "text"
    text: str


class StoreSearchResult(BaseModel):
    """A conversation."""

    file_id: str = Field(description="The conversation's id.")
    filename: str
    score: float = Field(description="The same as `score` in /api/v1/search.")
    attributes: ResultAttributes
    content: list[ResultContent]


class StoreSearchPage(QueryRisk):
    """All results, best first; there is no second page."""

    risk: Risk = Field(
        description="What screening for risk noticed in the query; the spans are those of several queries joined by "
        "line feeds."
    )
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[StoreSearchResult]
    has_more: bool = False
    next_page: str | None = None
