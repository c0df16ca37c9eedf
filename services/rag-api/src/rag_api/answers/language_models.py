"""Who writes answers: the language model that is set up, one whose key a caller brings, or the sources themselves."""

import asyncio
from dataclasses import dataclass

from mh_common.embeddings import Embedder
from openai import AsyncOpenAI
from pydantic import SecretStr

from rag_api.answers.condensing import Condenser, ModelCondenser, RuleCondenser
from rag_api.answers.extractive import Extractive
from rag_api.answers.generators import Generator, ModelGenerator, QuoteGenerator
from rag_api.answers.llm import LanguageModel, OpenAILanguageModel
from rag_api.answers.measured import MeasuredLanguageModel
from rag_api.answers.prompts import Prompts, make_environment
from rag_api.answers.tokens import make_counter
from rag_api.settings import Settings

PLATFORM_MODEL = "mental-health"
"""What other programs call what answers them, whichever language model writes."""

NO_KEY = "none"
"""Stands where the SDK insists on a key and none is set up; nothing is ever sent with it."""


@dataclass(frozen=True)
class Writers:
    """What makes sense of follow-up questions, and what writes."""

    condenser: Condenser
    generator: Generator


def quote_writers(embedder: Embedder) -> Writers:
    """Return writers that need no language model."""
    return Writers(RuleCondenser(), QuoteGenerator(Extractive(embedder)))


class LanguageModels:
    """The language model that is set up, if any, and those of callers that bring a key.

    Args:
        settings: say which one is set up.
        client: made by `make_client`; closed by who made it.
    """

    def __init__(self, settings: Settings, client: AsyncOpenAI) -> None:
        self._settings = settings.openai
        self._time_limit = settings.answers.time_limit
        self._client = client
        counter = make_counter(settings.embedding.model_dir)
        budget = settings.answers.context_window - settings.answers.reserved_tokens
        self._prompts = Prompts(make_environment(), counter, budget)
        self.configured: LanguageModel | None = None
        if self._settings.api_key is not None and settings.answers.mode != "quotes":
            self.configured = MeasuredLanguageModel(
                OpenAILanguageModel(client, model=self._settings.model),
                prompt_price=self._settings.prompt_price,
                completion_price=self._settings.completion_price,
            )

    @property
    def name(self) -> str:
        """The name of the model that is set up, and of a caller's who names none."""
        return self._settings.model

    def deadline(self) -> float:
        """Return the time of the event loop by which a call that begins now must be done."""
        return asyncio.get_running_loop().time() + self._time_limit

    def of_caller(self, key: SecretStr, name: str | None) -> LanguageModel:
        """Return a language model of the same server for a caller's key, which lives no longer than it."""
        client = self._client.with_options(api_key=key.get_secret_value())
        # What a caller pays is no cost of this service.
        return MeasuredLanguageModel(
            OpenAILanguageModel(client, model=name or self.name), prompt_price=0.0, completion_price=0.0
        )

    def writers(self, language_model: LanguageModel) -> Writers:
        """Return writers that ask this language model."""
        return Writers(ModelCondenser(language_model, self._prompts), ModelGenerator(language_model, self._prompts))


def make_client(settings: Settings) -> AsyncOpenAI:
    """Return the client of the language model's server, whether there is a key for it or not."""
    key = settings.openai.api_key
    return AsyncOpenAI(
        api_key=key.get_secret_value() if key else NO_KEY,
        base_url=settings.openai.base_url,
        timeout=settings.openai.timeout,
        max_retries=settings.answers.max_retries,
    )
