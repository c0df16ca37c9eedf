"""Settings of rag-api."""

from collections.abc import Sequence
from typing import Literal, Self

from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from mh_common.settings import (
    ConversationsSettings,
    LogSettings,
    MilvusSettings,
    ServiceSettings,
    SettingsGroup,
    WebSettings,
)
from pydantic import Field, model_validator


class SearchSettings(SettingsGroup):
    """Search by meaning."""

    embed_timeout: float = Field(
        default=10.0, gt=0, description="Seconds, retries included, until the embedding of a query is given up."
    )


class AnswersSettings(SettingsGroup):
    """Answers grounded in the conversations found."""

    mode: Literal["auto", "model", "quotes"] = Field(
        default="auto",
        description="model: a language model writes them, which needs OPENAI_API_KEY. quotes: they quote the "
        "conversations, and no model is asked. auto: model with a key, else quotes.",
    )
    time_limit: float = Field(
        default=60.0, gt=0, description="Seconds, retries included, until writing the answer is given up."
    )
    max_retries: int = Field(default=1, ge=0, le=5, description="Further attempts at the language model.")
    max_context_chars: int = Field(
        default=24_000,
        ge=1000,
        description="Characters of conversations in one prompt: about 6,000 tokens of English. What is over is left "
        "out by whole sentences, from the end of the least similar conversation first.",
    )


class Settings(ServiceSettings):
    """All settings of rag-api. Without OPENAI_API_KEY answers quote the conversations and no model is asked."""

    milvus: MilvusSettings = Field(default_factory=MilvusSettings)
    conversations: ConversationsSettings = Field(default_factory=ConversationsSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    answers: AnswersSettings = Field(default_factory=AnswersSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        missing = []
        if not self.milvus.token:
            missing.append("MILVUS_TOKEN: user:password or an API key")
        if self.answers.mode == "auto" and self.openai.api_key is None:
            missing.append("OPENAI_API_KEY, or ANSWERS_MODE=quotes to do without a language model")
        return missing

    @model_validator(mode="after")
    def _model_has_a_key(self) -> Self:
        if self.answers.mode == "model" and self.openai.api_key is None:
            raise ValueError("ANSWERS_MODE=model needs OPENAI_API_KEY")
        return self
