"""Request and response models of POST /search and POST /search-simple."""

import datetime as dt
from typing import Self

from mh_common.fields import ReviewState
from mh_common.models import QueryRisk, QueryText, SearchHit, SearchRequest, WireModel
from pydantic import BaseModel, ConfigDict, Field

from rag_api.integrations.links import source_link


class PlainSearch(WireModel):
    """A search with few options."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "patient cannot sleep before exams", "limit": 5}]}
    )

    query: QueryText = Field(
        description="1 to 8,000 characters after trimming. Plain text: filters typed into it are not parsed."
    )
    limit: int = Field(default=10, ge=1, le=100, description="Maximum number of results.")
    similarity_threshold: float = Field(default=0.0, ge=0, le=1, description="Minimum similarity_score of a result.")

    def request(self) -> SearchRequest:
        """Return the equivalent search request."""
        return SearchRequest(
            query=self.query,
            plain_query=True,
            limit=self.limit,
            similarity_threshold=self.similarity_threshold,
        )


class FoundSource(BaseModel):
    """A conversation that was found, without its answer."""

    question: str
    link: str = Field(
        description="Source URL of the conversation or, if it has none, the URL of the conversation itself."
    )
    date: dt.date = Field(
        description="Date of the source or, if it has none, the UTC date on which the conversation was added."
    )
    similarity_score: float = Field(ge=0, le=1, description="The same as `score` in /api/v1/search.")


class FoundConversation(FoundSource):
    """A conversation that was found."""

    answer: str
    review_state: ReviewState = Field(description="Whether a curator approved or rejected it.")

    @classmethod
    def of(cls, hit: SearchHit, public_url: str) -> Self:
        """Return a hit as a result."""
        return cls(
            question=hit.question,
            answer=hit.answer,
            review_state=hit.review_state,
            link=source_link(hit, public_url),
            date=hit.source_date or hit.created_at.date(),
            similarity_score=hit.score,
        )

    def to_prompt_block(self, number: int) -> str:
        """Return the result as a paragraph of a prompt."""
        return (
            f"Result {number}:\nQuestion: {self.question}\nAnswer: {self.answer}\nSource: {self.link}\n"
            f"Date: {self.date}\nRelevance: {self.similarity_score:.3f}"
        )


class Results(QueryRisk):
    """Results, best first, one for each distinct question."""

    results: list[FoundConversation]
    total_results: int = Field(description="Number of results returned.")


class ResultsAsText(QueryRisk):
    """Results, best first, as one text."""

    context: str = Field(
        description="One paragraph for each result, separated by blank lines. From elevated risk on, the first "
        "paragraph is the notice in one line, which begins with `[Notice]`. Without results it says if conversations "
        "about the query must be approved first. Otherwise empty."
    )
    sources: list[FoundSource]
    total_results: int = Field(description="Number of results returned.")
