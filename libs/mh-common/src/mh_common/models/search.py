"""Search by meaning."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from mh_common.models.base import MAX_BULK_ROWS, ConversationId, QueryText, WireModel
from mh_common.models.conversations import Sentiment


class SearchRequest(WireModel):
    """A search by meaning."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "patient cannot sleep before exams", "limit": 5}]},
    )

    query: QueryText = Field(description="Free text, 1 to 8,000 characters after trimming.")
    limit: int = Field(default=10, ge=1, le=100, description="Most hits to return.")
    similarity_threshold: float | None = Field(
        default=None, ge=0, le=1, description="Leave out hits whose score is below this."
    )
    question_sentiment: list[Sentiment] | None = Field(default=None, min_length=1, description="Any of these.")
    answer_sentiment: list[Sentiment] | None = Field(default=None, min_length=1, description="Any of these.")
    created_after: AwareDatetime | None = Field(default=None, description="Created at or after this time.")
    created_before: AwareDatetime | None = Field(default=None, description="Created before this time.")
    updated_after: AwareDatetime | None = Field(default=None, description="Updated at or after this time.")
    updated_before: AwareDatetime | None = Field(default=None, description="Updated before this time.")
    ids: list[ConversationId] | None = Field(
        default=None, min_length=1, max_length=MAX_BULK_ROWS, description="Only among these conversations."
    )


class SearchHit(BaseModel):
    """A conversation near the query, with its present text."""

    id: int
    question: str
    answer: str
    question_sentiment: Sentiment
    answer_sentiment: Sentiment
    score: float = Field(ge=0, le=1, description="Similarity of query and question; 1 is the same text.")
    version: int = Field(description="The conversation's version.")


class SearchResult(BaseModel):
    """Hits, best first."""

    hits: list[SearchHit]
    total_hits: int = Field(description="Number of hits returned.")
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being built anew in place and does not hold every conversation yet: hits may be "
        "missing. None is wrong.",
    )
