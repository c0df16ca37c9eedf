"""What a follow-up question means in full, so that it can be searched for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
from mh_common.models import ConversationTurn, QueryOrigin, SearchRequest, Usage
from pydantic import ValidationError

from rag_api.answers.llm import LanguageModel, LanguageModelError, Message
from rag_api.answers.markup import defuse, without_unseen
from rag_api.answers.prompts import Prompts, QuestionTooLongError
from rag_api.answers.sentences import cut

log = structlog.get_logger(__name__)

CONDENSE_FAILED: Final = "condense_failed"

MAX_CONDENSED: Final = 1000
"""Characters; a model that writes more than that has answered the question instead of repeating it."""

MAX_EARLIER: Final = 1000
"""Characters of the question before this one that are searched for along with it."""


@dataclass(frozen=True)
class Query:
    """What to search for, how it came about, and the tokens that took."""

    text: str
    origin: QueryOrigin
    usage: Usage = field(default_factory=Usage)


class Condenser(Protocol):
    """Puts a question together with the conversation before it."""

    async def condense(self, question: str, turns: Sequence[ConversationTurn], deadline: float) -> Query:
        """Return the question in full; `turns` are not empty, the oldest first. Never fails."""
        ...


class ModelCondenser:
    """Lets a language model put them together; where it fails, the question stays as it is."""

    def __init__(self, language_model: LanguageModel, prompts: Prompts) -> None:
        self._language_model = language_model
        self._prompts = prompts

    async def condense(self, question: str, turns: Sequence[ConversationTurn], deadline: float) -> Query:
        """See `Condenser.condense`."""
        try:
            # A thread, since counting the tokens of long texts takes its time.
            prompt = await asyncio.to_thread(self._prompts.condense, question, turns)
            messages = [Message("system", prompt.system), Message("user", prompt.user)]
            completion = await self._language_model.complete(messages, deadline)
        except (LanguageModelError, QuestionTooLongError) as error:
            log.warning(CONDENSE_FAILED, error=type(error).__name__, kind=getattr(error, "kind", None))
            return Query(question, QueryOrigin.FALLBACK)
        text = " ".join(defuse(without_unseen(completion.text)).split()).strip("\"'“”«»„‟ ")
        if len(text) > MAX_CONDENSED or not _is_query(text):
            log.warning(CONDENSE_FAILED, error="unusable", characters=len(text))
            return Query(question, QueryOrigin.FALLBACK, completion.usage)
        return Query(text, QueryOrigin.MODEL, completion.usage)


class RuleCondenser:
    """Without a language model: the question before this one, then this one.

    Both search by meaning and search by words find what either of the two names. What was answered is left out: it
    would outweigh what was asked.
    """

    async def condense(self, question: str, turns: Sequence[ConversationTurn], deadline: float) -> Query:
        """See `Condenser.condense`."""
        earlier = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        text = f"{cut(earlier, MAX_EARLIER)}\n{question}".strip()
        return Query(text if _is_query(text) else question, QueryOrigin.RULE)


def _is_query(text: str) -> bool:
    """Whether the search takes this text."""
    try:
        SearchRequest(query=text)
    except ValidationError:
        return False
    return True
