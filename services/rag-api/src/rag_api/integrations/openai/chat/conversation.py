"""Turn chat messages into a question with history, and into options for the answer."""

from collections.abc import Sequence
from typing import Final

from mh_common.models import MAX_HISTORY_LENGTH, MAX_TURNS, AnswerRequest, ConversationTurn
from mh_common.models.risk import without_notices
from mh_common.text import is_blank, normalized
from pydantic import ValidationError

from rag_api.answers.generators import MAX_INSTRUCTIONS_LENGTH, GenerationOptions
from rag_api.answers.llm import SamplingParams
from rag_api.integrations.openai.chat.models import ChatMessage, ChatRequest
from rag_api.integrations.openai.errors import InvalidParamError

MAX_TURN_LENGTH: Final = 8000
"""Characters to which an earlier message is truncated."""

_SYSTEM_ROLES: Final = ("system", "developer")


def message_text(message: ChatMessage) -> str:
    """Return a message's text.

    Raises:
        InvalidParamError: it has other content, such as an image.
    """
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "refusal"):
            raise InvalidParamError(
                "Only text is supported. Remove images, audio and files, or send their content as parts of type text.",
                "messages",
                "unsupported_content",
            )
    return "\n".join(part.text for part in message.content if part.text)


def turn_text(role: str, text: str) -> str:
    """Return an earlier message's text as it may stand in a history: an answer without its notice; it may be blank."""
    text = normalized(text.replace("\0", ""))
    if role == "assistant":
        text = without_notices(text)
    return text.strip()[:MAX_TURN_LENGTH].rstrip()


def answer_request(messages: Sequence[ChatMessage]) -> AnswerRequest:
    """Return the last user message as the question, and the messages before it as its history.

    Raises:
        InvalidParamError: there is no user message, or it is not a valid question.
    """
    last = _last_user_message(messages)
    try:
        return AnswerRequest(question=message_text(messages[last]), conversation_history=_turns(messages[:last]))
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidParamError(f"The last user message is not a valid question: {reason}.", "messages") from None


def generation_options(request: ChatRequest) -> GenerationOptions:
    """Return the options for the answer: the system messages as instructions, and the sampling parameters.

    Raises:
        InvalidParamError: the system messages are too long.
    """
    texts = [message_text(message).strip() for message in request.messages if message.role in _SYSTEM_ROLES]
    instructions = "\n\n".join(filter(None, texts))
    if len(instructions) > MAX_INSTRUCTIONS_LENGTH:
        raise InvalidParamError(
            f"System and developer messages may have at most {MAX_INSTRUCTIONS_LENGTH:,} characters in total. "
            "Shorten them.",
            "messages",
            "context_length_exceeded",
        )
    return GenerationOptions(instructions, _sampling_params(request))


def _sampling_params(request: ChatRequest) -> SamplingParams:
    """Return the parameters that are passed to the language model."""
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_tokens,
        max_completion_tokens=request.max_completion_tokens,
        stop=request.stop,
    )


def _last_user_message(messages: Sequence[ChatMessage]) -> int:
    for place in reversed(range(len(messages))):
        if messages[place].role == "user":
            return place
    raise InvalidParamError("There is no user message. Add one with the question.", "messages")


def _turns(messages: Sequence[ChatMessage]) -> list[ConversationTurn]:
    """Return the latest messages of counselor and assistant that fit into a history, answers without their notices."""
    turns: list[ConversationTurn] = []
    room = MAX_HISTORY_LENGTH
    for message in reversed(messages):
        content = turn_text(message.role, message_text(message))
        room -= len(content)
        if len(turns) == MAX_TURNS or room < 0:
            break
        if not is_blank(content) and (message.role == "user" or message.role == "assistant"):
            turns.insert(0, ConversationTurn(role=message.role, content=content))
    return turns
