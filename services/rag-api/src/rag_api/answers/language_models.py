"""Answer backends: the configured language model, one with a caller's own key, or extractive answers."""

import asyncio
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mh_common.egress import Recipient
from mh_common.identifiers import Recognizer
from mh_common.models import PhiMode
from mh_common.outgoing import OutgoingTexts
from pydantic import SecretStr

from rag_api.answers.generators import ExtractiveGenerator, Generator, LLMGenerator
from rag_api.answers.instrumented import InstrumentedLanguageModel
from rag_api.answers.llm import LanguageModel, SamplingParams
from rag_api.answers.prompts import Prompts, make_environment
from rag_api.answers.query_rewriting import LLMQueryRewriter, QueryRewriter, RuleBasedQueryRewriter
from rag_api.answers.sent import RecordingLanguageModel, SentRecord
from rag_api.answers.tokens import make_token_counter
from rag_api.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PLATFORM_MODEL = "mental-health"
"""The model name that other programs see, whichever language model answers."""


@dataclass(frozen=True)
class AnswerBackends:
    """What rewrites a follow-up question and generates the answer of one request.

    `sent`: what they send to servers for it.
    """

    query_rewriter: QueryRewriter
    generator: Generator
    sent: SentRecord


class LanguageModels:
    """The configured language model, if any, language models for callers with their own key, and quotes without one.

    Args:
        settings: the service's settings.
        embedding: who gets the texts that are embedded, and the name of the embedding model.
        recognizer: finds identifiers in texts for the language model.

    Attributes:
        recipient: the language model's server.
        phi_mode: what happens to identifiers in texts for it.
        prompts: renders the prompts.
        configured: the configured language model; None if there is no key, or if its server may not get texts.
    """

    def __init__(self, settings: Settings, embedding: tuple[Recipient, str], recognizer: Recognizer) -> None:
        self._settings = settings
        self._server = settings.openai
        self._time_limit = settings.answers.time_limit
        self._embedding = embedding
        self._recognizer = recognizer
        self.recipient = settings.language_model_server
        self.may_be_asked = settings.may_ask_language_model
        self.phi_mode: PhiMode = self.recipient.phi_mode(settings.phi)
        budget = settings.answers.context_window - settings.answers.reserved_tokens
        self.prompts = _prompts(settings.embedding.model_dir, budget)
        self.configured: LanguageModel | None = None
        if self._server.api_key is not None and settings.answers.mode != "quotes" and self.may_be_asked:
            self.configured = InstrumentedLanguageModel(
                self._openai(self._client, self._server.model),
                prompt_price=self._server.prompt_price,
                completion_price=self._server.completion_price,
            )

    @cached_property
    def _client(self) -> "AsyncOpenAI":
        # Imported where it is used: many platforms have no language model, and the SDK is a fifth of a start.
        from rag_api.answers.openai_language_model import make_client

        return make_client(self._settings)

    async def close(self) -> None:
        """Close the connections to the server."""
        if "_client" in vars(self):
            await self._client.close()

    @property
    def name(self) -> str:
        """The name of the configured model; also used for callers' keys if they name no model."""
        return self._server.model

    def deadline(self) -> float:
        """Return the deadline of a call that starts now, as a time of the event loop."""
        return asyncio.get_running_loop().time() + self._time_limit

    def at_most(self, tokens: int) -> SamplingParams:
        """Return the parameters that limit an answer of the server to this many tokens."""
        # OpenAI's newer models reject the older parameter, which is the only one that many other servers know.
        if self.recipient.is_openai:
            return SamplingParams(max_completion_tokens=tokens)
        return SamplingParams(max_tokens=tokens)

    def outgoing(self) -> OutgoingTexts:
        """Return the way out for the texts of one request for the language model."""
        return OutgoingTexts(self.phi_mode, self._recognizer)

    def for_caller(self, key: SecretStr, name: str | None) -> LanguageModel:
        """Return a language model on the same server that uses the caller's key, which is stored nowhere else.

        Only if the server `may_be_asked`.
        """
        client = self._client.with_options(api_key=key.get_secret_value())
        # The caller pays, so it does not count as a cost of this service.
        return InstrumentedLanguageModel(
            self._openai(client, name or self.name), prompt_price=0.0, completion_price=0.0
        )

    def default_backends(self) -> AnswerBackends:
        """Return backends for one request that brings none: the configured language model, or quotes."""
        return self.backends(self.configured) if self.configured else self.quotes()

    def backends(self, language_model: LanguageModel) -> AnswerBackends:
        """Return backends for one request that use this language model."""
        sent, outgoing = SentRecord(self._embedding), self.outgoing()
        recorded = RecordingLanguageModel(language_model, self.recipient, sent)
        quotes = ExtractiveGenerator()
        return AnswerBackends(
            LLMQueryRewriter(recorded, self.prompts, outgoing),
            LLMGenerator(recorded, self.prompts, outgoing, quotes),
            sent,
        )

    def quotes(self, reason: str = "") -> AnswerBackends:
        """Return backends for one request that need no language model; the answer says the reason, if there is one."""
        return AnswerBackends(RuleBasedQueryRewriter(), ExtractiveGenerator(reason), SentRecord(self._embedding))

    def _openai(self, client: "AsyncOpenAI", name: str) -> LanguageModel:
        from rag_api.answers.openai_language_model import OpenAILanguageModel

        store_false = self._server.store_false
        return OpenAILanguageModel(
            client, model=name, store_false=self.recipient.is_openai if store_false is None else store_false
        )


@lru_cache(maxsize=8)
def _prompts(model_dir: Path | None, budget: int) -> Prompts:
    """Return prompts of at most `budget` tokens, counted with the tokenizer in this folder (`make_token_counter`).

    All applications of a process share them: to read the tokenizer and to compile the templates takes a while.
    """
    return Prompts(make_environment(), make_token_counter(model_dir), budget)
