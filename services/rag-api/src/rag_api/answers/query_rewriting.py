"""Query rewriting: turn a follow-up question into a standalone query for the search."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
from mh_common.models import ConversationTurn, QueryOrigin, SearchRequest, Usage
from mh_common.outgoing import OutgoingTexts, TextNotSentError
from mh_common.sentences import truncate_at_sentence
from pydantic import ValidationError

from rag_api.answers.llm import LanguageModel, LanguageModelError, Message
from rag_api.answers.prompts import Prompts, QuestionTooLongError
from rag_api.texts.markup import sanitize, strip_invisible

log = structlog.get_logger(__name__)

CONDENSE_FAILED: Final = "condense_failed"

MAX_REWRITTEN_LENGTH: Final = 1000
"""Characters; a model that writes more has answered the question instead of rewriting it."""

MAX_PREVIOUS_LENGTH: Final = 1000
"""Characters of the previous question that are added to the query."""


@dataclass(frozen=True)
class StandaloneQuery:
    """A query that needs no context, how it was made, and the tokens used for it."""

    text: str
    origin: QueryOrigin
    usage: Usage = field(default_factory=Usage)


class QueryRewriter(Protocol):
    """Rewrites a follow-up question."""

    async def rewrite(self, question: str, turns: Sequence[ConversationTurn], deadline: float) -> StandaloneQuery:
        """Return the standalone query; `turns` is not empty, oldest first. Never raises.

        `deadline` is a time of the event loop, in seconds.
        """
        ...


class LLMQueryRewriter:
    """Rewrites with a language model; if that fails, the question is used unchanged.

    If the texts must not be sent, it rewrites without one.

    Args:
        language_model: the language model.
        prompts: renders the prompt.
        outgoing: the texts of this request on their way to the language model.
    """

    def __init__(self, language_model: LanguageModel, prompts: Prompts, outgoing: OutgoingTexts) -> None:
        self._language_model = language_model
        self._prompts = prompts
        self._outgoing = outgoing

    async def rewrite(self, question: str, turns: Sequence[ConversationTurn], deadline: float) -> StandaloneQuery:
        """See `QueryRewriter.rewrite`."""
        try:
            # In a thread, since counting the tokens of long texts is slow.
            prepare = self._outgoing.prepare if self._outgoing.are_checked else None
            prompt = await asyncio.to_thread(self._prompts.rewrite_query, question, turns, prepare)
            messages = [Message("system", prompt.system), Message("user", prompt.user)]
            completion = await self._language_model.complete(messages, deadline)
        except TextNotSentError:
            return await RuleBasedQueryRewriter().rewrite(question, turns, deadline)
        except (LanguageModelError, QuestionTooLongError) as error:
            log.warning(CONDENSE_FAILED, error=type(error).__name__, kind=getattr(error, "kind", None))
            return StandaloneQuery(question, QueryOrigin.FALLBACK)
        restored = self._outgoing.restore(completion.text)
        text = " ".join(sanitize(strip_invisible(restored)).split()).strip("\"'“”«»„‟ ")
        if len(text) > MAX_REWRITTEN_LENGTH or not _is_valid_query(text):
            log.warning(CONDENSE_FAILED, error="unusable", characters=len(text))
            return StandaloneQuery(question, QueryOrigin.FALLBACK, completion.usage)
        return StandaloneQuery(text, QueryOrigin.MODEL, completion.usage)


class RuleBasedQueryRewriter:
    """Needs no language model: concatenates the previous question and this one.

    Semantic and keyword search both find what either question mentions. The answers are left out, as they would
    outweigh the questions.
    """

    async def rewrite(self, question: str, turns: Sequence[ConversationTurn], deadline: float) -> StandaloneQuery:
        """See `QueryRewriter.rewrite`."""
        earlier = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        text = f"{truncate_at_sentence(earlier, MAX_PREVIOUS_LENGTH)}\n{question}".strip()
        return StandaloneQuery(text if _is_valid_query(text) else question, QueryOrigin.RULE)


def _is_valid_query(text: str) -> bool:
    """Return whether the search accepts this text."""
    try:
        SearchRequest(query=text)
    except ValidationError:
        return False
    return True
