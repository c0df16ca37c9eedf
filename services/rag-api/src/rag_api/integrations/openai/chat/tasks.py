"""Background prompts: what a chat program asks of the model by itself, for a chat's title, its tags, what to ask next.

Open WebUI sends them to the model of the chat, as a chat of their own with one user message. The chat so far stands in
it between <chat_history> and </chat_history>, also where an administrator wrote the rest anew; two prompts without it
are known by how they begin. Nothing is searched for them. A question with attached files begins like them, with
"### Task:", and is none.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rag_api.answers.llm import Message
from rag_api.integrations.openai.chat.conversation import text_of
from rag_api.integrations.openai.chat.models import ChatMessage
from rag_api.integrations.openai.errors import RefusedError
from rag_api.integrations.titles import title_of

MAX_LENGTH: Final = 64_000
"""Characters of a background prompt."""

MAX_TITLE: Final = 60

NO_MODEL: Final = "Merging answers needs a language model, and none is set up here. Read each of them."

_OPENING: Final = "<chat_history>"
_CLOSING: Final = "</chat_history>"
_BEGINNING: Final = "### Task:"
_WANTED = re.compile(r'"(title|tags|follow_ups|queries|text|prompt)"\s*:')
_USER = re.compile(r"^USER:[^\S\n]*(.+?)(?=^(?:USER|ASSISTANT|SYSTEM|TOOL):|\Z)", re.DOTALL | re.MULTILINE)
_EMOJI: Final = "Your task is to reflect the speaker's likely facial expression"
_MERGE: Final = "You have been provided with a set of responses from various models to the latest user query"
_TOOLS: Final = "Available Tools:"


@dataclass(frozen=True)
class Task:
    """A background prompt. `fallback` is the answer without a language model: valid, and of use or empty."""

    messages: tuple[Message, ...]
    fallback: str


def background_task(messages: Sequence[ChatMessage]) -> Task | None:
    """Return the background prompt that these messages are; None: somebody asks a question.

    Raises:
        RefusedError: it is too long.
    """
    users = [text_of(message).strip() for message in messages if message.role == "user"]
    systems = [text_of(message).strip() for message in messages if message.role in ("system", "developer")]
    if len(users) != 1 or any(message.role == "assistant" for message in messages):
        return None
    fallback = _fallback(users[0], systems)
    if fallback is None:
        return None
    prompts = (*(Message("system", text) for text in systems if text), Message("user", users[0]))
    if sum(len(prompt.content) for prompt in prompts) > MAX_LENGTH:
        raise RefusedError(
            f"A background prompt may have {MAX_LENGTH:,} characters.", "messages", "context_length_exceeded"
        )
    return Task(prompts, fallback)


def _fallback(prompt: str, systems: Sequence[str]) -> str | None:
    """The answer without a language model; None when this is no background prompt."""
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
    # The chat itself can speak of a "title:", so only what stands around it counts.
    around = before + after
    wanted = _WANTED.search(around)
    if wanted is None:
        # Without a known form nothing is the one answer that no program takes for content.
        return "" if around.startswith(_BEGINNING) else None
    return json.dumps({wanted[1]: _value(wanted[1], history)}, ensure_ascii=False)


def _value(wanted: str, history: str) -> str | list[str]:
    """A title or picture is described in the user's own words; the rest is left empty."""
    asked = [" ".join(text.split()) for text in _USER.findall(history)]
    if wanted == "title":
        return title_of(asked[0], MAX_TITLE) if asked else ""
    if wanted == "prompt":
        return asked[-1] if asked else ""
    return "" if wanted == "text" else []
