"""Search: semantic, keyword and hybrid."""

from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mh_common.fields import FIELDS, FILTERS, FoundAdvice, Origin, ReviewState, RiskLevel, Sentiment
from mh_common.models.base import (
    MAX_BULK_ROWS,
    MAX_VALUES,
    AtMost,
    Author,
    Category,
    ConversationId,
    Day,
    ImportTag,
    OneOf,
    QueryText,
    SourceUrl,
    UtcTime,
    WireModel,
)
from mh_common.models.conversations import ConversationMetadata
from mh_common.models.risk import NOT_SCREENED, AnswerRisk, Risk, RiskNotice


class SearchMode(StrEnum):
    """How conversations are searched."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


class GroupBy(StrEnum):
    """How hits are grouped."""

    QUESTION = "question"
    NONE = "none"


T = TypeVar("T")
AnyOf = Annotated[list[T], AtMost(MAX_VALUES, least=1)]
"""The values of one filter, of which one must match."""


def _filter(name: str) -> Any:
    """Return the model field for the filter of this name."""
    return Field(default=None, description=FILTERS[name].description)


class SearchFilters(WireModel):
    """Conversations must match all of these. One field for each of `fields.FILTERS`."""

    question_sentiment: AnyOf[OneOf[Sentiment]] | None = _filter("question_sentiment")
    answer_sentiment: AnyOf[OneOf[Sentiment]] | None = _filter("answer_sentiment")
    created_after: UtcTime | None = _filter("created_after")
    created_before: UtcTime | None = _filter("created_before")
    updated_after: UtcTime | None = _filter("updated_after")
    updated_before: UtcTime | None = _filter("updated_before")
    source_url: AnyOf[SourceUrl] | None = _filter("source_url")
    source_url_empty: bool | None = _filter("source_url_empty")
    source_date_after: Day | None = _filter("source_date_after")
    source_date_before: Day | None = _filter("source_date_before")
    source_date_empty: bool | None = _filter("source_date_empty")
    category: AnyOf[Category] | None = _filter("category")
    category_empty: bool | None = _filter("category_empty")
    author: AnyOf[Author] | None = _filter("author")
    author_empty: bool | None = _filter("author_empty")
    import_tag: AnyOf[ImportTag] | None = _filter("import_tag")
    import_tag_empty: bool | None = _filter("import_tag_empty")
    risk_level: AnyOf[OneOf[RiskLevel]] | None = _filter("risk_level")
    risk_level_empty: bool | None = _filter("risk_level_empty")
    unsafe_advice: AnyOf[OneOf[FoundAdvice]] | None = _filter("unsafe_advice")
    unsafe_advice_empty: bool | None = _filter("unsafe_advice_empty")
    origin: AnyOf[OneOf[Origin]] | None = _filter("origin")
    origin_empty: bool | None = _filter("origin_empty")
    review_state: AnyOf[OneOf[ReviewState]] | None = _filter("review_state")
    ids: Annotated[list[ConversationId], AtMost(MAX_BULK_ROWS, least=1)] | None = _filter("ids")


class _SearchOptions(WireModel):
    """The query and how to search."""

    query: QueryText = Field(
        description='1 to 8,000 characters after trimming. Besides free text it may contain `"a phrase"` that must '
        "occur (in a query of more than five other words it is a quotation and need not), `-word` that must not, and "
        f"filters: {', '.join(f'`{field.example}`' for field in FIELDS)}."
    )
    plain_query: bool = Field(
        default=False, description="Treat the query as free text only, without phrases, excluded words or filters."
    )
    mode: OneOf[SearchMode] = Field(
        default=SearchMode.HYBRID,
        description="semantic: by meaning. keyword: by words; needs no embedding model and finds only conversations "
        "that have a word of the query, or one that means the same. hybrid: both. A question about a client is "
        "searched by meaning as the client would put it.",
    )
    group_by: OneOf[GroupBy] = Field(
        default=GroupBy.QUESTION,
        description="question: of conversations with the same question, only the best match. none: all.",
    )
    limit: int = Field(default=10, ge=1, le=100, description="Maximum number of hits.")
    similarity_threshold: float | None = Field(default=None, ge=0, le=1, description="Omit hits with a lower score.")
    explain: bool = Field(default=False, description="Explain how each hit was found.")


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


Span = Annotated[tuple[int, int], Field(description="Start and end, from 0; the end is exclusive.")]


class Highlights(BaseModel):
    """Spans of the texts that match words of the query, in any inflection; in Unicode code points, in order."""

    question: list[Span] = []
    answer: list[Span] = []


class PartScore(BaseModel):
    """The score of a hit in one part of the search."""

    part: str = Field(
        description="question: cosine of query and question. text: the same for "
        "question and answer together. keywords: BM25 over question and answer. words, pairs: share of the query's "
        "words, and of its pairs of adjacent words, that occur; rare ones weigh more. crowding: how much closer than "
        "average it lies to other matches; counts against it. fusion: reciprocal rank fusion of question, text and "
        "keywords."
    )
    rank: int | None = Field(
        description="Rank among conversations, from 1; null if below the search depth, and for words, pairs, crowding."
    )
    score: float


class Explanation(BaseModel):
    """How a hit was found and how its score is computed."""

    searched: list[str] = Field(
        default=[],
        description="The texts that were searched, as the mode needs them: by meaning the query, as the client would "
        "put it if it is about one; by keywords its words and words that mean the same.",
    )
    parts: list[PartScore]
    evidence: float = Field(description="Weighted sum of the parts. Hits are ordered by it, and therefore by score.")


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
        description="Probability that this is what the query asks for, among everything found: low if nothing fits, or "
        "others fit better. Hits of different questions sum up to at most 1. Calibrated for the embedding model and "
        "the mode, and comparable between queries, unless `scores_calibrated` is false.",
    )
    relevance: float = Field(
        ge=0,
        le=1,
        description="What the score would be if nothing else had been found. Several hits can have a high one.",
    )
    highlights: Highlights = Highlights()
    explanation: Explanation | None = Field(default=None, description="Only with `explain`.")


class SearchHit(ConversationMetadata, _Hit):
    """A matching conversation with its current text."""


class QueryRisk(AnswerRisk):
    """Risk noticed in a query."""

    risk: Risk = Field(
        default=NOT_SCREENED,
        description="What screening noticed in the query. The questions similar to one are not screened.",
    )
    risk_notice: RiskNotice | None = Field(
        default=None, description="Shown before the hits; null below elevated risk. Also says if screening failed."
    )


class SearchResult(QueryRisk):
    """Hits, best first."""

    hits: list[SearchHit]
    total_hits: int = Field(
        description="Number of hits returned: distinct questions or, without grouping, conversations. If it is below "
        "`limit`, no more reach the threshold."
    )
    relevance_threshold: float | None = Field(
        default=None,
        description="If the relevance of the best hit is below this, nothing relevant was found; null if not "
        "calibrated.",
    )
    scores_calibrated: bool = Field(
        default=True,
        description="False: this embedding model's scores are not calibrated; only their order is meaningful.",
    )
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being rebuilt in place and does not contain every conversation yet: hits may be "
        "missing, but none is wrong.",
    )
