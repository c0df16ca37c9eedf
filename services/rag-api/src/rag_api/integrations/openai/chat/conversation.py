"""What is asked in the messages of a chat."""

from collections.abc import Sequence
from typing import Final

from mh_common.models import MAX_HISTORY_LENGTH, MAX_TURNS, AnswerRequest, ConversationTurn
from pydantic import ValidationError

from rag_api.answers.generators import MAX_INSTRUCTIONS, Wishes
from rag_api.answers.llm import Sampling
from rag_api.integrations.openai.chat.models import ChatMessage, ChatRequest
from rag_api.integrations.openai.errors import RefusedError

MAX_TURN: Final = 8000
"""Characters of an earlier message that are kept."""

_SYSTEM: Final = ("system", "developer")


def text_of(message: ChatMessage) -> str:
    """Return a message's text.

    Raises:
        RefusedError: it holds something else, an image for example.
    """
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "refusal"):
            raise RefusedError(
                "Only text can be answered here: leave out images, audio and files, or send what they say as a part of "
                "type text.",
                "messages",
                "unsupported_content",
            )
    return "\n".join(part.text for part in message.content if part.text)


def answer_request(messages: Sequence[ChatMessage]) -> AnswerRequest:
    """Return the last user message as a question that follows up on what was said before it.

    Raises:
        RefusedError: there is none, or it cannot be answered.
    """
    last = _last_user_message(messages)
    try:
        return AnswerRequest(question=text_of(messages[last]), conversation_history=_turns(messages[:last]))
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise RefusedError(f"The last user message cannot be answered: {reason}.", "messages") from None


def wishes(request: ChatRequest) -> Wishes:
    """Return what is asked of the answer's form.

    Raises:
        RefusedError: the system messages are too long.
    """
    texts = [text_of(message).strip() for message in request.messages if message.role in _SYSTEM]
    instructions = "\n\n".join(filter(None, texts))
    if len(instructions) > MAX_INSTRUCTIONS:
        raise RefusedError(
            f"System and developer messages may have {MAX_INSTRUCTIONS:,} characters in all. Shorten them.",
            "messages",
            "context_length_exceeded",
        )
    return Wishes(instructions, sampling(request))


def sampling(request: ChatRequest) -> Sampling:
    """Return what is passed on to the language model as it came."""
    return Sampling(
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
    raise RefusedError("There is no user message, so nothing is asked.", "messages")


def _turns(messages: Sequence[ChatMessage]) -> list[ConversationTurn]:
    """The latest messages of counselor and assistant that fit."""
    turns: list[ConversationTurn] = []
    room = MAX_HISTORY_LENGTH
    for message in reversed(messages):
        content = text_of(message).replace("\0", "").strip()[:MAX_TURN].rstrip()
        room -= len(content)
        if len(turns) == MAX_TURNS or room < 0:
            break
        if content and (message.role == "user" or message.role == "assistant"):
            turns.insert(0, ConversationTurn(role=message.role, content=content))
    return turns
