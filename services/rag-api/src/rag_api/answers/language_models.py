"""Answer backends: the configured language model, one with a caller's own key, or extractive answers."""

import asyncio
from dataclasses import dataclass

from mh_common.embeddings import Embedder
from openai import AsyncOpenAI
from pydantic import SecretStr

from rag_api.answers.extractive import ExtractiveAnswerer
from rag_api.answers.generators import ExtractiveGenerator, Generator, LLMGenerator
from rag_api.answers.instrumented import InstrumentedLanguageModel
from rag_api.answers.llm import LanguageModel, OpenAILanguageModel
from rag_api.answers.prompts import Prompts, make_environment
from rag_api.answers.query_rewriting import LLMQueryRewriter, QueryRewriter, RuleBasedQueryRewriter
from rag_api.answers.tokens import make_token_counter
from rag_api.safety.screening import ScreeningService
from rag_api.settings import Settings

PLATFORM_MODEL = "mental-health"
"""The model name that other programs see, whichever language model answers."""

PLACEHOLDER_KEY = "none"
"""For the SDK, which insists on a key; no request is ever sent with it."""


@dataclass(frozen=True)
class AnswerBackends:
    """What rewrites follow-up questions, and what generates answers."""

    query_rewriter: QueryRewriter
    generator: Generator


def extractive_backends(embedder: Embedder, screening: ScreeningService) -> AnswerBackends:
    """Return backends that need no language model."""
    return AnswerBackends(RuleBasedQueryRewriter(), ExtractiveGenerator(ExtractiveAnswerer(embedder, screening)))


class LanguageModels:
    """The configured language model, if any, and language models for callers with their own key.

    Args:
        settings: the service's settings.
        client: made by `make_client`; the caller closes it.
    """

    def __init__(self, settings: Settings, client: AsyncOpenAI) -> None:
        self._settings = settings.openai
        self._time_limit = settings.answers.time_limit
        self._client = client
        counter = make_token_counter(settings.embedding.model_dir)
        budget = settings.answers.context_window - settings.answers.reserved_tokens
        self._prompts = Prompts(make_environment(), counter, budget)
        self.configured: LanguageModel | None = None
        if self._settings.api_key is not None and settings.answers.mode != "quotes":
            self.configured = InstrumentedLanguageModel(
                OpenAILanguageModel(client, model=self._settings.model),
                prompt_price=self._settings.prompt_price,
                completion_price=self._settings.completion_price,
            )

    @property
    def name(self) -> str:
        """The name of the configured model; also used for callers' keys if they name no model."""
        return self._settings.model

    def deadline(self) -> float:
        """Return the deadline of a call that starts now, as a time of the event loop."""
        return asyncio.get_running_loop().time() + self._time_limit

    def for_caller(self, key: SecretStr, name: str | None) -> LanguageModel:
        """Return a language model on the same server that uses the caller's key, which is stored nowhere else."""
        client = self._client.with_options(api_key=key.get_secret_value())
        # The caller pays, so it does not count as a cost of this service.
        return InstrumentedLanguageModel(
            OpenAILanguageModel(client, model=name or self.name), prompt_price=0.0, completion_price=0.0
        )

    def backends(self, language_model: LanguageModel) -> AnswerBackends:
        """Return backends that use this language model."""
        return AnswerBackends(
            LLMQueryRewriter(language_model, self._prompts), LLMGenerator(language_model, self._prompts)
        )


def make_client(settings: Settings) -> AsyncOpenAI:
    """Return a client of the language model's server, with or without a configured key."""
    key = settings.openai.api_key
    return AsyncOpenAI(
        api_key=key.get_secret_value() if key else PLACEHOLDER_KEY,
        base_url=settings.openai.base_url,
        timeout=settings.openai.timeout,
        max_retries=settings.answers.max_retries,
    )
