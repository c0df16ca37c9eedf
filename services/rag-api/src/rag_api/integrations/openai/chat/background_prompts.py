"""Background prompts: what a chat program asks the model by itself, for a chat's title, tags or follow-up questions.

Open WebUI sends them to the model of the chat, as a separate chat with one user message. It contains the chat between
<chat_history> and </chat_history>, even if an administrator customized the rest; the two prompts without it are
recognized by their beginning. No search is made for them. A question with attached files also begins with "### Task:",
but is not a background prompt.

The program's own words are never passed on: for some tasks the language model gets a prompt of ours with the chat, and
for the others there is a valid response without one.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mh_common.models import ConversationTurn
from mh_common.text import is_blank

from rag_api.answers.prompts import BackgroundTask
from rag_api.integrations.openai.chat.conversation import message_text, turn_text
from rag_api.integrations.openai.chat.models import ChatMessage
from rag_api.integrations.openai.errors import InvalidParamError
from rag_api.integrations.titles import make_title

MAX_LENGTH: Final = 64_000
"""Maximum characters of a background prompt."""

MAX_TITLE: Final = 60

NO_MERGING: Final = "Answers are not merged here. Read them one by one."

_OPENING: Final = "<chat_history>"
_CLOSING: Final = "</chat_history>"
_BEGINNING: Final = "### Task:"
_WANTED = re.compile(r'"(title|tags|follow_ups|queries|text|prompt)"\s*:')
_TURN = re.compile(
    r"^(USER|ASSISTANT|SYSTEM|TOOL):[^\S\n]*(.*?)(?=^(?:USER|ASSISTANT|SYSTEM|TOOL):|\Z)", re.DOTALL | re.MULTILINE
)
_EMOJI: Final = "Your task is to reflect the speaker's likely facial expression"
_MERGE: Final = "You have been provided with a set of responses from various models to the latest user query"
_TOOLS: Final = "Available Tools:"


@dataclass(frozen=True)
class BackgroundPrompt:
    """A background prompt.

    Attributes:
        fallback: a valid response without a language model: useful if possible, else empty.
        task: what the language model is asked to write; None if it is not asked.
        turns: the chat, oldest turn first.
    """

    fallback: str
    task: BackgroundTask | None = None
    turns: tuple[ConversationTurn, ...] = ()

    def response(self, items: Sequence[str]) -> str:
        """Return the response with what the language model wrote for the task; the fallback if that is nothing."""
        if self.task is None or not items:
            return self.fallback
        value = make_title(items[0], MAX_TITLE) if self.task is BackgroundTask.TITLE else list(items)
        return _json(self.task, value)


def find_background_prompt(messages: Sequence[ChatMessage]) -> BackgroundPrompt | None:
    """Return the background prompt in these messages; None if they are a question of a user.

    Raises:
        InvalidParamError: it is too long.
    """
    users = [message_text(message).strip() for message in messages if message.role == "user"]
    systems = [message_text(message).strip() for message in messages if message.role in ("system", "developer")]
    if len(users) != 1 or any(message.role == "assistant" for message in messages):
        return None
    found = _find(users[0], systems)
    if found is not None and sum(map(len, (*systems, *users))) > MAX_LENGTH:
        raise InvalidParamError(
            f"A background prompt may have at most {MAX_LENGTH:,} characters.", "messages", "context_length_exceeded"
        )
    return found


def _find(prompt: str, systems: Sequence[str]) -> BackgroundPrompt | None:
    if any(text.startswith(_TOOLS) and '"tool_calls"' in text for text in systems):
        return BackgroundPrompt(json.dumps({"tool_calls": []}))
    if prompt.startswith(_EMOJI):
        return BackgroundPrompt("")
    if prompt.startswith(_MERGE):
        return BackgroundPrompt(NO_MERGING)
    before, opening, rest = prompt.partition(_OPENING)
    history, closing, after = rest.rpartition(_CLOSING)
    if not (opening and closing):
        return None
    # The chat itself may contain "title:", so only the text around it counts.
    around = before + after
    wanted = _WANTED.search(around)
    if wanted is None:
        # The expected format is unknown: an empty response is the only one that no program takes for content.
        return BackgroundPrompt("") if around.startswith(_BEGINNING) else None
    turns = _turns(history)
    fallback = _json(wanted[1], _fallback(wanted[1], [turn.content for turn in turns if turn.role == "user"]))
    task = BackgroundTask(wanted[1]) if wanted[1] in list(BackgroundTask) else None
    return BackgroundPrompt(fallback, task, turns if task else ())


def _turns(history: str) -> tuple[ConversationTurn, ...]:
    """Return what counselor and assistant wrote in a chat; other turns are left out."""
    roles: dict[str, Literal["user", "assistant"]] = {"USER": "user", "ASSISTANT": "assistant"}
    turns = ((roles[turn[1]], turn[2]) for turn in _TURN.finditer(history) if turn[1] in roles)
    cleaned = ((role, turn_text(role, text)) for role, text in turns)
    return tuple(ConversationTurn(role=role, content=text) for role, text in cleaned if not is_blank(text))


def _fallback(wanted: str, asked: Sequence[str]) -> str | list[str]:
    """Return the fallback for a field: the user's own words for titles and pictures, otherwise empty."""
    lines = [" ".join(text.split()) for text in asked]
    if wanted == "title":
        return make_title(lines[0], MAX_TITLE) if lines else ""
    if wanted == "prompt":
        return lines[-1] if lines else ""
    return "" if wanted == "text" else []


def _json(name: str, value: str | list[str]) -> str:
    return json.dumps({name: value}, ensure_ascii=False)
