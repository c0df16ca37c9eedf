"""Answers grounded in what search finds."""

from pydantic import BaseModel, ConfigDict, Field

from mh_common.models.base import QueryText, WireModel


class AnswerRequest(WireModel):
    """A question on how to help a patient."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question": "How do I help a patient who panics on the bus?", "top_k": 3}]},
    )

    question: QueryText = Field(description="Free text, 1 to 8,000 characters after trimming.")
    top_k: int = Field(default=3, ge=1, le=20, description="Number of conversations to ground the answer in.")


class Source(BaseModel):
    """A conversation that the answer rests on. Citation [1] in the answer names the first source."""

    id: int
    question: str
    answer: str
    score: float = Field(ge=0, le=1)


class Usage(BaseModel):
    """Tokens that the language model counted; all 0 where none was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Answer(BaseModel):
    """A suggestion and what it is grounded in."""

    answer: str
    sources: list[Source]
    model: str = Field(
        description="The language model; `extractive` where sentences of the sources are quoted without a model; "
        "`none` where nothing relevant was found."
    )
    usage: Usage
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being built anew in place and does not hold every conversation yet: sources may be "
        "missing. None is wrong.",
    )
