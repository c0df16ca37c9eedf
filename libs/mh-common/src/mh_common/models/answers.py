"""Answers grounded in search results: the request, the response, and the same response as a stream of events."""

from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mh_common.models.base import AtMost, QueryText, RequestModel, WireModel
from mh_common.models.risk import NOT_SCREENED, AnswerRisk, Risk, UnsafeAdvice, Withheld

MAX_TURNS: Final = 20
"""Most turns of conversation history in one request."""

MAX_HISTORY_LENGTH: Final = 32_000
"""Most characters of all these turns together, after trimming whitespace."""

NOTICE: Final = (
    "A suggestion for a professional, based on other people's conversations. It is no substitute for clinical "
    "judgement or for your crisis protocol."
)


class ConversationTurn(WireModel):
    """An earlier question of the counselor, or an earlier answer."""

    role: Literal["user", "assistant"] = Field(description="user: the counselor. assistant: the answer.")
    content: QueryText = Field(description="1 to 8,000 characters after trimming.")


def _short_enough(turns: list[ConversationTurn]) -> list[ConversationTurn]:
    if sum(len(turn.content) for turn in turns) > MAX_HISTORY_LENGTH:
        raise ValueError(f"must not exceed {MAX_HISTORY_LENGTH:,} characters in total; send only the latest turns")
    return turns


class AnswerRequest(WireModel):
    """A question about how to help a patient."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question": "How do I help a patient who panics on the bus?", "top_k": 3}]},
    )

    question: QueryText = Field(description="Free text, 1 to 8,000 characters after trimming.")
    top_k: int = Field(default=3, ge=1, le=20, description="Number of conversations to ground the answer in.")
    conversation_history: Annotated[list[ConversationTurn], AtMost(MAX_TURNS), AfterValidator(_short_enough)] = Field(
        default=[],
        description="The conversation that this question follows up on, oldest turn first. At most "
        f"{MAX_TURNS} turns and {MAX_HISTORY_LENGTH:,} characters.",
    )
    show_sent: bool = Field(
        default=False, description="Whether to return what was sent to which server for this answer, in `sent`."
    )
    user_id: str | None = Field(
        default=None,
        description="The person for whom the request is made, for programs that cannot send X-User-Id, which precedes "
        "it. It counts as that header does, and is ignored if it cannot be in it.",
    )


class Source(BaseModel):
    """A conversation that the answer is based on. Citation [1] in the answer refers to the first source."""

    id: int
    question: str
    answer: str
    score: float = Field(ge=0, le=1)
    relevance: float = Field(ge=0, le=1, description="What the score would be if nothing else had been found.")


class QueryOrigin(StrEnum):
    """Where the search query comes from."""

    QUESTION = "question"
    """The question as asked; there was no conversation history."""

    MODEL = "model"
    """Written by the language model from the question and the conversation history."""

    RULE = "rule"
    """Without a language model: the previous question followed by this one."""

    FALLBACK = "fallback"
    """The question as asked, because the language model failed to rewrite it."""


class Usage(RequestModel):
    """Tokens counted by the language model over all calls for one answer; all 0 if no model was called."""

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
    """Duration of each part of an answer, in milliseconds."""

    condense: float = Field(description="Rewriting a follow-up question as a standalone query.")
    search: float
    generate: float = Field(description="Generating the complete answer.")
    check: float = Field(default=0.0, description="Comparing its sentences with the sources that they cite.")
    total: float


class AnswerSources(BaseModel):
    """The sources of an answer. Event `sources` of a stream, after `risk`."""

    answer_id: UUID = Field(description="Identifies this answer, for example in feedback.")
    sources: list[Source]
    standalone_query: str = Field(description="The search query.")
    query_origin: QueryOrigin = Field(
        description="question: as asked. model or rule: rewritten using conversation_history, by the language model or "
        "without one. fallback: as asked, because the language model failed to rewrite it."
    )
    held_back: int = Field(
        default=0,
        description="If there are no sources: how many conversations are about this, but must be approved by a curator "
        "before an answer may rest on them. At most 20 are counted. The answer says so.",
    )
    index_rebuilding: bool = Field(
        default=False,
        description="The index is being rebuilt in place and does not contain every conversation yet: sources may be "
        "missing, but none is wrong.",
    )
    notice: str = Field(
        default=NOTICE,
        description="Disclaimer to show with the answer. Says so if the question was not screened for risk.",
    )


class AnswerToken(BaseModel):
    """The next part of the answer's text; the parts concatenated are the whole text. Event `token` of a stream."""

    text: str


class AnswerUsage(BaseModel):
    """Token usage and latency. Event `usage` of a stream, after the last token."""

    usage: Usage
    latency_ms: AnswerLatency


class SentMessage(BaseModel):
    """A text as it was sent, with pseudonyms if there are any."""

    role: Literal["system", "user", "input"] = Field(
        description="system and user: the messages to a language model. input: a text to embed."
    )
    content: str


class SentTexts(BaseModel):
    """The texts of one call of a server."""

    recipient: str = Field(description="The host that they were sent to, or `this machine`.")
    remote: bool = Field(description="Whether that host is neither this machine nor one that the operator trusts.")
    model: str
    messages: list[SentMessage]


class SentenceSupport(StrEnum):
    """Whether the texts that a sentence cites say what it says, as far as vectors and words can tell."""

    SUPPORTED = "supported"

    UNSUPPORTED = "unsupported"
    """It cites a source, but nothing like it was found there; `doubt` says what is missing."""

    UNCITED = "uncited"
    """It cites no source."""

    NOT_CHECKED = "not_checked"
    """It cites a source, but could not be compared with it."""


class Doubt(StrEnum):
    """Why a sentence counts as unsupported."""

    UNLIKE = "unlike"
    """Nothing similar stands in the sources that it cites."""

    NUMBER = "number"
    """It has a number that stands neither there nor in the question."""

    NAME = "name"
    """It has a name, or what looks like one, that stands neither there nor in the question."""

    NEGATION = "negation"
    """It denies what the most similar words there say, or says what they deny."""

    def as_text(self) -> str:
        """Return it in words that complete "This sentence …"."""
        return _DOUBTS[self]


_DOUBTS: Final = {
    Doubt.UNLIKE: "says nothing that was found in its source",
    Doubt.NUMBER: "has a number that is not in its source",
    Doubt.NAME: "has a name that is not in its source",
    Doubt.NEGATION: "may say the opposite of its source",
}


class CheckedSentence(BaseModel):
    """A sentence of a language model, held against the sources that it cites."""

    text: str = Field(description="With its citations.")
    support: SentenceSupport = Field(
        description="supported: its sources say something very similar. unsupported: they do not, see `doubt`. "
        "uncited: it cites none. not_checked: it could not be compared, as the embedding model failed or must not get "
        "the text, or since it is in another language than its sources."
    )
    cites: list[int] = Field(default=[], description="Numbers of the sources that it cites.")
    supported_by: list[int] = Field(default=[], description="Those of them that support it, each taken alone.")
    doubt: Doubt | None = Field(
        default=None,
        description="Why it is unsupported. unlike: nothing similar is there. number, name: it has one that is neither "
        "there nor in the question. negation: it may say the opposite.",
    )


class AnswerDone(BaseModel):
    """How the answer was generated. Last event of a stream, named `done`: without it a stream is incomplete."""

    model: str = Field(
        description="The language model; `extractive` if passages of the sources are quoted without a model; `none` "
        "if nothing relevant was found, or nothing that may be used."
    )
    grounded: bool = Field(
        description="Every sentence cites a source. Whether the source supports it: see `checked_sentences`."
    )
    uncited_sentences: list[str] = Field(
        default=[],
        description="Sentences of a language model that cite no source: an introduction or a reference to the crisis "
        "protocol, or an unsupported claim.",
    )
    checked_sentences: list[CheckedSentence] = Field(
        default=[],
        description="The sentences of a language model, in order, each with whether the sources that it cites support "
        "it, judged by similarity and words. A hint and no proof: sentences that twist a source can pass. "
        "Empty for quotes and fixed texts.",
    )
    question_language: str | None = Field(
        default=None, description="Language of the question (ISO 639-1); null if it is not known."
    )
    answer_language: str | None = Field(
        default=None,
        description="Language of what a language model wrote (ISO 639-1); null if it is not known, and for quotes and "
        "fixed texts. It should be that of the question.",
    )
    prompt_version: str | None = Field(default=None, description="Version of the prompts; null if none was used.")
    template_hash: str | None = Field(
        default=None, description="SHA-256 of the prompt templates, in hexadecimal; null if none was used."
    )
    cut_short: bool = Field(
        default=False, description="The language model reached its token limit before the end of the answer."
    )
    withheld: Withheld | None = Field(
        default=None,
        description="The text of the language model was left out, and the answer says so and why. unsafe_advice: it "
        "contained advice that can do harm. risk_not_addressed: it did not speak to the risk in the question.",
    )
    left_out: list[UnsafeAdvice] = Field(
        default=[],
        description="For each sentence that was left out of the language model's text, or caused `withheld`: why.",
    )
    answer_risk: Risk = Field(
        default=NOT_SCREENED,
        description="What screening noticed in what the language model wrote, or in the quotes, without spans; not "
        "screened for a fixed text.",
    )
    sent: list[SentTexts] | None = Field(
        default=None,
        description="With `show_sent`: what was sent to a server for this answer, in order; empty if nothing was. "
        "Models within the service get no texts by network and are not listed.",
    )


class Answer(AnswerDone, AnswerUsage, AnswerSources, AnswerRisk):
    """An answer and its sources."""

    answer: str

    def as_text(self) -> str:
        """Return what to show first, as `AnswerRisk.as_text`, and the answer below it."""
        return "\n\n".join(filter(None, [super().as_text(), self.answer]))


AnswerEvent = AnswerRisk | AnswerSources | AnswerToken | AnswerUsage | AnswerDone

ANSWER_EVENTS: Final[dict[str, type[AnswerEvent]]] = {
    "risk": AnswerRisk,
    "sources": AnswerSources,
    "token": AnswerToken,
    "usage": AnswerUsage,
    "done": AnswerDone,
}
"""The data of a streamed answer's events, by event name. An `error` event, with a `Problem`, ends the stream early."""
