"""Answers grounded in what search finds: the request, the answer, and the same answer as a stream of events."""

from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mh_common.models.base import QueryText, WireModel

MAX_TURNS: Final = 20
"""Most turns of the conversation so far in one request."""

MAX_HISTORY_LENGTH: Final = 32_000
"""Most characters of all these turns together, after trimming."""

NOTICE: Final = (
    "A suggestion for a professional, drawn from conversations of other people. It is no substitute for clinical "
    "judgement or for your crisis protocol."
)


class ConversationTurn(WireModel):
    """What the counselor asked before, or what was answered."""

    role: Literal["user", "assistant"] = Field(description="user: the counselor. assistant: the answer.")
    content: QueryText = Field(description="1 to 8,000 characters after trimming.")


def _short_enough(turns: list[ConversationTurn]) -> list[ConversationTurn]:
    if sum(len(turn.content) for turn in turns) > MAX_HISTORY_LENGTH:
        raise ValueError(f"must not hold more than {MAX_HISTORY_LENGTH:,} characters in all; send the latest only")
    return turns


class AnswerRequest(WireModel):
    """A question on how to help a patient."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question": "How do I help a patient who panics on the bus?", "top_k": 3}]},
    )

    question: QueryText = Field(description="Free text, 1 to 8,000 characters after trimming.")
    top_k: int = Field(default=3, ge=1, le=20, description="Number of conversations to ground the answer in.")
    conversation_history: Annotated[list[ConversationTurn], AfterValidator(_short_enough)] = Field(
        default=[],
        max_length=MAX_TURNS,
        description="What was asked and answered before, the oldest first, where this question follows up on it. At "
        f"most {MAX_TURNS} turns and {MAX_HISTORY_LENGTH:,} characters.",
    )


class Source(BaseModel):
    """A conversation that the answer rests on. Citation [1] in the answer names the first source."""

    id: int
    question: str
    answer: str
    score: float = Field(ge=0, le=1)


class QueryOrigin(StrEnum):
    """Where the text that was searched for comes from."""

    QUESTION = "question"
    """The question as it was asked; there was no conversation before it."""

    MODEL = "model"
    """The language model put question and conversation together."""

    RULE = "rule"
    """Without a language model: the latest question before this one, and this one."""

    FALLBACK = "fallback"
    """The question as it was asked, since the language model could not put it together with the conversation."""


class Usage(BaseModel):
    """Tokens that the language model counted in all calls for one answer; all 0 where none was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
        )


class AnswerLatency(BaseModel):
    """Milliseconds that the parts of an answer took."""

    condense: float = Field(description="Putting a follow-up question together with the conversation before it.")
    search: float
    generate: float = Field(description="Writing the answer, to its last word.")
    total: float


class AnswerSources(BaseModel):
    """What an answer will rest on. First event of a stream, named `sources`."""

    answer_id: UUID = Field(description="Names this answer, in feedback for example.")
    sources: list[Source]
    standalone_query: str = Field(description="What was searched for.")
    query_origin: QueryOrigin = Field(
        description="question: as asked. model or rule: put together with conversation_history, by the language model "
        "or without one. fallback: as asked, because the language model failed to put it together."
    )
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being built anew in place and does not hold every conversation yet: sources may be "
        "missing. None is wrong.",
    )
    notice: str = Field(default=NOTICE, description="What kind of advice this is.")


class AnswerToken(BaseModel):
    """The next part of the answer's text; all parts in order are the text. Event `token` of a stream."""

    text: str


class AnswerUsage(BaseModel):
    """What the answer cost. Event `usage` of a stream, after the last token."""

    usage: Usage
    latency_ms: AnswerLatency


class AnswerDone(BaseModel):
    """How the answer was written. Last event of a stream, named `done`: without it a stream is not whole."""

    model: str = Field(
        description="The language model; `extractive` where sentences of the sources are quoted without a model; "
        "`none` where nothing relevant was found."
    )
    grounded: bool = Field(
        description="Every sentence cites a source. That it says the same as its source is for the reader to judge."
    )
    uncited_sentences: list[str] = Field(
        default=[],
        description="Sentences of a language model that cite no source: perhaps an introduction or a reference to the "
        "crisis protocol, perhaps a claim that nothing supports.",
    )
    prompt_version: str | None = Field(default=None, description="Version of the prompts; null where none was used.")
    template_hash: str | None = Field(
        default=None, description="SHA-256 of the prompts' templates, in hexadecimal; null where none was used."
    )
    cut_short: bool = Field(
        default=False, description="The language model came to a limit of tokens before the end of what it had to say."
    )


class Answer(AnswerDone, AnswerUsage, AnswerSources):
    """A suggestion and what it is grounded in."""

    answer: str


AnswerEvent = AnswerSources | AnswerToken | AnswerUsage | AnswerDone

ANSWER_EVENTS: Final[dict[str, type[AnswerEvent]]] = {
    "sources": AnswerSources,
    "token": AnswerToken,
    "usage": AnswerUsage,
    "done": AnswerDone,
}
"""What travels in the events of a streamed answer, by name. Besides, `error` carries a `Problem` and is the last."""
