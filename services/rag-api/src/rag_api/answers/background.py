"""Titles, tags and follow-up questions for the chats of other programs, written by the language model.

The programs send prompts of their own for them. Those never reach the model: it gets our prompt and the latest texts of
the chat, and what it writes is checked and cleaned. Nothing is searched for, and nothing is stored in the history.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from mh_common.advice import unsafe_advice
from mh_common.models import ConversationTurn, Usage
from mh_common.outgoing import OutgoingTexts, TextNotSentError

from rag_api import metrics
from rag_api.answers.language_models import LanguageModels
from rag_api.answers.llm import Completion, LanguageModelError, Message
from rag_api.answers.prompts import BackgroundTask
from rag_api.texts.citations import normalize_citations
from rag_api.texts.markup import LINK_REMOVED, sanitize, strip_invisible

log = structlog.get_logger(__name__)

PROMPT_ANSWERED: Final = "background_prompt_answered"
PROMPT_NOT_ANSWERED: Final = "background_prompt_not_answered"
"""The program gets what it would get without a language model; `reason` says why."""

MAX_AT_ONCE: Final = 4
"""Calls of the language model at a time, per process: chats are not to be kept waiting by their own titles."""

TIME_LIMIT: Final = 15.0
"""Seconds for one call."""

MAX_REPLY_TOKENS: Final = 512
"""Far more than three short questions take; models that think need some for that."""

MAX_REPLY_LENGTH: Final = 10_000
"""Characters; a longer reply is not what was asked for."""

MAX_ITEM_LENGTH: Final = {BackgroundTask.TITLE: 200, BackgroundTask.TAGS: 40, BackgroundTask.FOLLOW_UPS: 200}
MAX_ITEMS: Final = {BackgroundTask.TITLE: 1, BackgroundTask.TAGS: 3, BackgroundTask.FOLLOW_UPS: 3}

_DECORATION: Final = str.maketrans("", "", "*`#|")
_AROUND: Final = " \"'“”«»„‟_~>-•"


@dataclass(frozen=True)
class Written:
    """The texts that were written, at least one, or none if there is nothing usable; and the tokens used."""

    items: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)


class BackgroundWriter:
    """Writes titles, tags and follow-up questions for chats. It never raises: without a usable text there is none."""

    def __init__(self, models: LanguageModels) -> None:
        self._models = models
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def write(self, task: BackgroundTask, turns: Sequence[ConversationTurn]) -> Written:
        """Return what was written for a chat, whose turns are given oldest first."""
        if self._models.configured is None or not turns:
            return Written()
        if self._slots.locked():
            return _nothing(task, "busy")
        started = time.perf_counter()
        async with self._slots:
            outgoing = self._models.outgoing()
            try:
                completion = await self._ask(task, turns, outgoing)
            except TextNotSentError:
                return _nothing(task, "identifiers")
            except LanguageModelError as error:
                return _nothing(task, error.kind.value)
        items = _items(task, completion.text, outgoing)
        if not items:
            return _nothing(task, "unusable", completion.usage)
        metrics.BACKGROUND_PROMPTS.labels(task.value, "written").inc()
        log.info(
            PROMPT_ANSWERED,
            task=task.value,
            total_tokens=completion.usage.total_tokens,
            generate_ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return Written(items, completion.usage)

    async def _ask(
        self, task: BackgroundTask, turns: Sequence[ConversationTurn], outgoing: OutgoingTexts
    ) -> Completion:
        assert self._models.configured is not None
        prepare = outgoing.prepare if outgoing.are_checked else None
        prompt = await asyncio.to_thread(self._models.prompts.background, task, turns, prepare)
        messages = [Message("system", prompt.system), Message("user", prompt.user)]
        deadline = min(self._models.deadline(), asyncio.get_running_loop().time() + TIME_LIMIT)
        return await self._models.configured.complete(messages, deadline, self._models.at_most(MAX_REPLY_TOKENS))


def _nothing(task: BackgroundTask, reason: str, usage: Usage | None = None) -> Written:
    metrics.BACKGROUND_PROMPTS.labels(task.value, reason).inc()
    log.warning(PROMPT_NOT_ANSWERED, task=task.value, reason=reason)
    return Written(usage=usage or Usage())


def _items(task: BackgroundTask, reply: str, outgoing: OutgoingTexts) -> tuple[str, ...]:
    """Return the usable texts of a reply, which should be a JSON object with the field of the task."""
    value = _field(task, reply)
    texts = value if isinstance(value, list) else [value]
    cleaned = [_cleaned(outgoing.restore(text)) for text in texts if isinstance(text, str)]
    usable = dict.fromkeys(text for text in cleaned if _is_usable(task, text))
    return tuple(usable)[: MAX_ITEMS[task]]


def _is_usable(task: BackgroundTask, text: str) -> bool:
    """Return whether a text may be shown: it is short enough, was no link, and advises nothing that can do harm."""
    return 0 < len(text) <= MAX_ITEM_LENGTH[task] and LINK_REMOVED not in text and unsafe_advice(text) is None


def _field(task: BackgroundTask, reply: str) -> Any:
    """Return the value of the field in the reply's JSON object, around which models write other things; else None."""
    if len(reply) > MAX_REPLY_LENGTH:
        return None
    try:
        found = json.loads(reply[reply.find("{") : reply.rfind("}") + 1])
    except (ValueError, RecursionError):
        return None
    return found.get(task.value) if isinstance(found, dict) else None


def _cleaned(text: str) -> str:
    """Return the text on one line, without citations, links and markup."""
    plain = normalize_citations(sanitize(strip_invisible(text)), ())
    return " ".join(plain.translate(_DECORATION).split()).strip(_AROUND)
