"""What POST /search and POST /search-simple take and answer."""

import datetime as dt
from typing import Self

from mh_common.models import QueryText, SearchHit, SearchRequest, WireModel
from pydantic import BaseModel, ConfigDict, Field

from rag_api.integrations.links import source_link


class PlainSearch(WireModel):
    """A search without any options but how much of it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "patient cannot sleep before exams", "limit": 5}]}
    )

    query: QueryText = Field(description="1 to 8,000 characters after trimming, all of it text to search for.")
    limit: int = Field(default=10, ge=1, le=100, description="Most results to return.")
    similarity_threshold: float = Field(
        default=0.0, ge=0, le=1, description="Leave out results whose similarity_score is below this."
    )

    def request(self) -> SearchRequest:
        """Return the same search as the platform's own route takes it."""
        return SearchRequest(
            query=self.query,
            plain_query=True,
            limit=self.limit,
            similarity_threshold=self.similarity_threshold,
        )


class FoundSource(BaseModel):
    """A conversation that was found, without its answer."""

    question: str
    link: str = Field(description="Where the conversation comes from or, if nobody said, can be read.")
    date: dt.date = Field(description="Day of the source or, if nobody said, in UTC on which it was added.")
    similarity_score: float = Field(ge=0, le=1, description="As `score` in /api/v1/search.")


class FoundConversation(FoundSource):
    """A conversation that was found."""

    answer: str

    @classmethod
    def of(cls, hit: SearchHit, public_url: str) -> Self:
        """Return a hit as these tools take it."""
        return cls(
            question=hit.question,
            answer=hit.answer,
            link=source_link(hit, public_url),
            date=hit.source_date or hit.created_at.date(),
            similarity_score=hit.score,
        )

    def block(self, number: int) -> str:
        """Return the result as a paragraph of a prompt."""
        return (
            f"Result {number}:\nQuestion: {self.question}\nAnswer: {self.answer}\nSource: {self.link}\n"
            f"Date: {self.date}\nRelevance: {self.similarity_score:.3f}"
        )


class Results(BaseModel):
    """Results, best first, one for each distinct question."""

    results: list[FoundConversation]
    total_results: int = Field(description="Number of results returned.")


class ResultsAsText(BaseModel):
    """Results, best first, as one text."""

    context: str = Field(description="One paragraph for each result, with a blank line between; empty without any.")
    sources: list[FoundSource]
    total_results: int = Field(description="Number of results returned.")
