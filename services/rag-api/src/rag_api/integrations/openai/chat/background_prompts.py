"""Background prompts: what a chat program asks the model by itself, for a chat's title, tags or follow-up questions.

Open WebUI sends them to the model of the chat, as a separate chat with one user message. It contains the chat between
<chat_history> and </chat_history>, even if an administrator customized the rest; the two prompts without it are
recognized by their beginning. No search is made for them. A question with attached files also begins with "### Task:",
but is not a background prompt.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rag_api.answers.llm import Message
from rag_api.integrations.openai.chat.conversation import message_text
from rag_api.integrations.openai.chat.models import ChatMessage
from rag_api.integrations.openai.errors import InvalidParamError
from rag_api.integrations.titles import make_title

MAX_LENGTH: Final = 64_000
"""Maximum characters of a background prompt."""

MAX_TITLE: Final = 60

NO_MODEL: Final = "Merging answers requires a language model, and none is configured. Read the answers one by one."

_OPENING: Final = "<chat_history>"
_CLOSING: Final = "</chat_history>"
_BEGINNING: Final = "### Task:"
_WANTED = re.compile(r'"(title|tags|follow_ups|queries|text|prompt)"\s*:')
_USER = re.compile(r"^USER:[^\S\n]*(.+?)(?=^(?:USER|ASSISTANT|SYSTEM|TOOL):|\Z)", re.DOTALL | re.MULTILINE)
_EMOJI: Final = "Your task is to reflect the speaker's likely facial expression"
_MERGE: Final = "You have been provided with a set of responses from various models to the latest user query"
_TOOLS: Final = "Available Tools:"


@dataclass(frozen=True)
class BackgroundPrompt:
    """A background prompt. `fallback` is a valid response without a language model: useful if possible, else empty."""

    messages: tuple[Message, ...]
    fallback: str


def find_background_prompt(messages: Sequence[ChatMessage]) -> BackgroundPrompt | None:
    """Return the background prompt in these messages; None if they are a question of a user.

    Raises:
        InvalidParamError: it is too long.
    """
    users = [message_text(message).strip() for message in messages if message.role == "user"]
    systems = [message_text(message).strip() for message in messages if message.role in ("system", "developer")]
    if len(users) != 1 or any(message.role == "assistant" for message in messages):
        return None
    fallback = _fallback(users[0], systems)
    if fallback is None:
        return None
    prompts = (*(Message("system", text) for text in systems if text), Message("user", users[0]))
    if sum(len(prompt.content) for prompt in prompts) > MAX_LENGTH:
        raise InvalidParamError(
            f"A background prompt may have at most {MAX_LENGTH:,} characters.", "messages", "context_length_exceeded"
        )
    return BackgroundPrompt(prompts, fallback)


def _fallback(prompt: str, systems: Sequence[str]) -> str | None:
    """Return the response without a language model; None if this is not a background prompt."""
    if any(text.startswith(_TOOLS) and '"tool_calls"' in text for text in systems):
        return json.dumps({"tool_calls": []})
    if prompt.startswith(_EMOJI):
        return ""
    if prompt.startswith(_MERGE):
        return NO_MODEL
    before, opening, rest = prompt.partition(_OPENING)
    history, closing, after = rest.rpartition(_CLOSING)
    if not (opening and closing):
        return None
    # The chat itself may contain "title:", so only the text around it counts.
    around = before + after
    wanted = _WANTED.search(around)
    if wanted is None:
        # The expected format is unknown: an empty response is the only one that no program takes for content.
        return "" if around.startswith(_BEGINNING) else None
    return json.dumps({wanted[1]: _value(wanted[1], history)}, ensure_ascii=False)


def _value(wanted: str, history: str) -> str | list[str]:
    """Return the fallback for a field: the user's own words for titles and pictures, otherwise empty."""
    asked = [" ".join(text.split()) for text in _USER.findall(history)]
    if wanted == "title":
        return make_title(asked[0], MAX_TITLE) if asked else ""
    if wanted == "prompt":
        return asked[-1] if asked else ""
    return "" if wanted == "text" else []
