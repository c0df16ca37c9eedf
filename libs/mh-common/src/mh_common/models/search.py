"""Search by meaning and by words."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mh_common.fields import FIELDS, FILTERS, Sentiment
from mh_common.models.base import (
    MAX_BULK_ROWS,
    MAX_VALUES,
    Author,
    Category,
    ConversationId,
    Day,
    QueryText,
    SourceUrl,
    UtcTime,
    WireModel,
)
from mh_common.models.conversations import ConversationDetails


class SearchMode(StrEnum):
    """What a conversation is found by."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


class GroupBy(StrEnum):
    """What there is one hit of."""

    QUESTION = "question"
    NONE = "none"


def _filter(name: str, **limits: Any) -> Any:
    """Return the field of a model that is the filter of this name."""
    return Field(default=None, description=FILTERS[name].description, **limits)


class SearchFilters(WireModel):
    """Which conversations: those that pass all of these. One for each of `fields.FILTERS`."""

    question_sentiment: list[Sentiment] | None = _filter("question_sentiment", min_length=1)
    answer_sentiment: list[Sentiment] | None = _filter("answer_sentiment", min_length=1)
    created_after: UtcTime | None = _filter("created_after")
    created_before: UtcTime | None = _filter("created_before")
    updated_after: UtcTime | None = _filter("updated_after")
    updated_before: UtcTime | None = _filter("updated_before")
    source_url: list[SourceUrl] | None = _filter("source_url", min_length=1, max_length=MAX_VALUES)
    source_url_empty: bool | None = _filter("source_url_empty")
    source_date_after: Day | None = _filter("source_date_after")
    source_date_before: Day | None = _filter("source_date_before")
    source_date_empty: bool | None = _filter("source_date_empty")
    category: list[Category] | None = _filter("category", min_length=1, max_length=MAX_VALUES)
    category_empty: bool | None = _filter("category_empty")
    author: list[Author] | None = _filter("author", min_length=1, max_length=MAX_VALUES)
    author_empty: bool | None = _filter("author_empty")
    ids: list[ConversationId] | None = _filter("ids", min_length=1, max_length=MAX_BULK_ROWS)


class _SearchOptions(WireModel):
    """What is searched for, and how."""

    query: QueryText = Field(
        description='1 to 8,000 characters after trimming. Besides free text it can hold `"a phrase"` that must occur, '
        f"`-word` that must not, and filters: {', '.join(f'`{field.typed}`' for field in FIELDS)}."
    )
    plain_query: bool = Field(
        default=False, description="Take the query as free text only: no phrases, excluded words or filters in it."
    )
    mode: SearchMode = Field(
        default=SearchMode.HYBRID,
        description="By meaning and words (hybrid), by meaning (semantic) or by words (keyword, which needs no "
        "embedding model and finds only conversations that share a word with the query).",
    )
    group_by: GroupBy = Field(
        default=GroupBy.QUESTION,
        description="question: one hit for conversations with the same question, the one that fits best. none: all.",
    )
    limit: int = Field(default=10, ge=1, le=100, description="Most hits to return.")
    similarity_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Leave out hits whose score is below this."
    )
    explain: bool = Field(default=False, description="Tell with each hit how it was found.")


class SearchRequest(SearchFilters, _SearchOptions):
    """A search."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "patient cannot sleep before exams", "limit": 5},
                {"query": 'panic "on the bus" -school question_sentiment:negative created_at<=2026-03-01'},
            ]
        },
    )


Span = Annotated[tuple[int, int], Field(description="First character, and the one after the last; from 0.")]


class Highlights(BaseModel):
    """Where the texts hold words of the query, in any form of them: characters (Unicode code points), in order."""

    question: list[Span] = []
    answer: list[Span] = []


class PartScore(BaseModel):
    """What one part of a search says of a hit."""

    part: str = Field(
        description="question: cosine of query and question. text: cosine of query and question with answer. "
        "keywords: BM25 over question and answer. fusion: reciprocal rank fusion of those the mode uses."
    )
    rank: int | None = Field(description="From 1, by conversation; null where it is further down than was looked.")
    score: float


class Explanation(BaseModel):
    """How a hit was found, and what its score is made of."""

    parts: list[PartScore]
    evidence: float = Field(description="Weighted sum of the parts. Hits are ordered by it, and so by the score.")


class _Hit(BaseModel):
    id: int
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    version: int = Field(description="The conversation's version.")
    created_at: UtcTime
    updated_at: UtcTime
    score: float = Field(
        ge=0,
        le=1,
        description="How likely the conversation is about what was asked, as measured for the embedding model and the "
        "mode. Comparable between queries, unless `scores_calibrated` is false.",
    )
    highlights: Highlights = Highlights()
    explanation: Explanation | None = Field(default=None, description="Only with `explain`.")


class SearchHit(ConversationDetails, _Hit):
    """A conversation near the query, with its present text."""


class SearchResult(BaseModel):
    """Hits, best first."""

    hits: list[SearchHit]
    total_hits: int = Field(
        description="Number of hits returned: of distinct questions or, without grouping, of conversations. Below "
        "`limit` there are no more that reach the threshold."
    )
    relevance_threshold: float | None = Field(
        default=None,
        description="A best score below this means that nothing relevant is there; null where nobody measured it.",
    )
    scores_calibrated: bool = Field(
        default=True,
        description="False: nobody measured this embedding model's scores. They order hits, and mean no more.",
    )
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being built anew in place and does not hold every conversation yet: hits may be "
        "missing. None is wrong.",
    )
