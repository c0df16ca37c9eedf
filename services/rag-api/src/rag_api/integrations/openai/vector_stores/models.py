"""What is sent to, and comes back from, the search of a vector store. Fields that are not named here are ignored."""

from datetime import date
from typing import Annotated, Any, Final, Literal

from mh_common.fields import ID, NAMES, listed
from mh_common.models import QueryText
from pydantic import BaseModel, ConfigDict, Field

KEYS: Final = (ID.name, *(name for name in NAMES if name != ID.name))
"""The attributes to filter by."""

MAX_RESULTS = 50
MAX_QUERIES = 10
MAX_VALUES = 1000


class ComparisonFilter(BaseModel):
    """An attribute compares so with the value."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str = Field(description=f"{listed(KEYS, ' or ')}.")
    value: Any = Field(
        description="Of the attribute's own type: a number for id and, in seconds since 1970, for times; a text such "
        "as 2026-03-01 for days; positive, negative or neutral for sentiments. A list of at most 1,000 of them for in "
        "and nin."
    )


class CompoundFilter(BaseModel):
    """All, or any, of the filters hold."""

    type: Literal["and", "or"]
    filters: list["Filter"] = Field(min_length=1, max_length=100)


Filter = Annotated[ComparisonFilter | CompoundFilter, Field(discriminator="type")]


class RankingOptions(BaseModel):
    """How to rank. A ranker that is named is ignored: there is one."""

    score_threshold: float | None = Field(default=None, ge=0, le=1, description="Leave out results below this score.")


class StoreSearchRequest(BaseModel):
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

    query: QueryText | Annotated[list[QueryText], Field(min_length=1, max_length=MAX_QUERIES)] = Field(
        description="Plain text, or a list of at most 10; of several, each conversation counts with its best score."
    )
    max_num_results: int = Field(default=10, ge=1, le=MAX_RESULTS)
    filters: Filter | None = Field(default=None, description="What conversations must be to be found.")
    ranking_options: RankingOptions | None = None


def _absent(value: object) -> bool:
    return value is None


class ResultAttributes(BaseModel):
    """What can be filtered by, and a link. Times are in whole seconds since 1970. What there is not is left out."""

    id: int
    question_sentiment: str
    answer_sentiment: str
    created_at: int
    updated_at: int
    source_url: str | None = Field(default=None, exclude_if=_absent)
    source_date: date | None = Field(default=None, exclude_if=_absent)
    category: str | None = Field(default=None, exclude_if=_absent)
    author: str | None = Field(default=None, exclude_if=_absent)
    url: str


class ResultContent(BaseModel):
    """A text."""

    type: Literal["text"] = "text"
    text: str


class StoreSearchResult(BaseModel):
    """A conversation."""

    file_id: str = Field(description="The conversation's id.")
    filename: str
    score: float = Field(description="As in /api/v1/search.")
    attributes: ResultAttributes
    content: list[ResultContent]


class StoreSearchPage(BaseModel):
    """All results, best first; there is no second page."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[StoreSearchResult]
    has_more: bool = False
    next_page: str | None = None
