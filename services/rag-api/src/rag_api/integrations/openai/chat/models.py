"""Request and response models of chat completions. Unknown fields are ignored."""

from typing import Annotated, Any, Final, Literal

from mh_common.models import AtMost, CheckedSentence, RequestModel, Risk, RiskNotice, Usage
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

MAX_MESSAGES: Final = 1000
MAX_PARTS: Final = 1000
"""Most parts of one message."""

Stop = Annotated[str, Field(min_length=1, max_length=200)]


def _absent(value: object) -> bool:
    return value is None


RiskMember = Annotated[
    Risk | None,
    Field(
        exclude_if=_absent,
        description="What screening for risk noticed in the question and its history. Absent from responses to "
        "background prompts.",
    ),
]
CheckedMember = Annotated[
    list[CheckedSentence] | None,
    Field(
        exclude_if=_absent,
        description="The sentences of a language model, each with whether the sources that it cites support it; in a "
        "stream, in the chunk with the finish reason. Absent from responses without any. Not part of OpenAI's API.",
    ),
]
RiskNoticeMember = Annotated[
    RiskNotice | None,
    Field(exclude_if=_absent, description="The notice with which the text begins; absent if there is none."),
]


class ContentPart(RequestModel):
    """A part of a message."""

    type: str
    text: str | None = None


class ChatMessage(RequestModel):
    """A message of the conversation; messages of tools are ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[ContentPart], AtMost(MAX_PARTS, first_error_only=True)] | None = None


class StreamOptions(RequestModel):
    """Options for streaming."""

    include_usage: bool | None = Field(
        default=None, description="Whether to end with a chunk that contains the token usage."
    )


class ChatRequest(RequestModel):
    """A conversation whose last user message is the question to answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "mental-health",
                    "messages": [
                        {"role": "system", "content": "Answer in three sentences."},
                        {"role": "user", "content": "My patient panics on the bus. How can I help?"},
                    ],
                    "stream": True,
                    "stream_options": {"include_usage": True},
                }
            ]
        }
    )

    model: str
    messages: Annotated[list[ChatMessage], AtMost(MAX_MESSAGES, least=1)] = Field(
        description="The last user message is the question; the latest user and assistant messages before it are its "
        "history, as far as they fit. System and developer messages may give instructions for language, tone, length "
        "or form, at most 4,000 characters in total. Content is text, or parts of type text.",
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1, le=1, description="Always 1: there is one answer.")
    temperature: float | None = Field(default=None, ge=0, le=2, description="Passed to the language model.")
    top_p: float | None = Field(default=None, ge=0, le=1, description="Passed to the language model.")
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000, description="Passed to the language model.")
    max_completion_tokens: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Passed to the language model."
    )
    stop: Stop | Annotated[list[Stop], AtMost(4)] | None = Field(
        default=None, description="Passed to the language model."
    )
    user: str | None = Field(
        default=None,
        description="The person for whom the request is made, unless the header X-User-Id or X-OpenWebUI-User-Id names "
        "one. It counts as X-User-Id does.",
    )
    source_list: bool = Field(
        default=False,
        description="Whether to append to the text which sentences their sources do not seem to support, and a "
        "Markdown list of the cited sources, for programs that do not show annotations. Not part of OpenAI's API.",
    )


class UrlCitation(BaseModel):
    """A conversation that the answer cites; the indices are those of its first citation in the text."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A citation."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation] = []


FinishReason = Literal["stop", "length"]


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """An answer."""

    id: str = Field(description="`chatcmpl-` and the answer's id, for feedback.")
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    citations: list[str] = Field(description="Links to the sources; the first is the link of [1].")
    risk: RiskMember = None
    risk_notice: RiskNoticeMember = None
    checked_sentences: CheckedMember = None


class Delta(BaseModel):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    annotations: list[Annotation] | None = None

    @model_serializer(mode="wrap")
    def _omit_none(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class ChunkChoice(BaseModel):
    """The one answer, in a chunk."""

    index: Literal[0] = 0
    delta: Delta
    finish_reason: FinishReason | None = None


class ChatChunk(BaseModel):
    """A piece of an answer."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    citations: list[str] | None = None
    risk: RiskMember = None
    risk_notice: RiskNoticeMember = None
    checked_sentences: CheckedMember = None
