"""Settings of rag-api."""

from typing import Annotated, Self

from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from mh_common.settings import (
    ConversationsSettings,
    LogSettings,
    MilvusSettings,
    ServiceSettings,
    SettingsGroup,
)
from pydantic import BeforeValidator, Field, model_validator

# Compose hands an unset variable down as an empty one.
_Number = Annotated[float | None, BeforeValidator(lambda value: None if value == "" else value)]


class SearchSettings(SettingsGroup):
    """Search. The numbers behind scores come from measuring: `scripts/calibrate.py` prints those of another model."""

    embed_timeout: float = Field(
        default=10.0, gt=0, description="Seconds, retries included, until the embedding of a query is given up."
    )
    redis_url: Annotated[
        Annotated[str, Field(pattern=r"^rediss?://")] | None, BeforeValidator(lambda value: value or None)
    ] = Field(
        default=None,
        description="Redis that keeps the vectors of queries for EMBEDDING_CACHE_TTL; empty: each process has its own.",
    )
    question_weight: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Share of the question's likeness in the likeness by meaning; the rest is that of question and "
        "answer together.",
    )
    keyword_weight: float = Field(
        default=0.6, ge=0, description="Weight of the shared words, beside 1 for the likeness by meaning."
    )
    slope: _Number = Field(
        default=None,
        gt=0,
        description="With SEARCH_OFFSET: the curve from evidence to score for an embedding model that is not known.",
    )
    offset: _Number = Field(default=None, description="See SEARCH_SLOPE.")
    relevance_threshold: _Number = Field(
        default=None,
        ge=0,
        le=1,
        description="Answers say that nothing relevant was found when no score reaches this; empty for the value that "
        "was measured for the embedding model, if any.",
    )

    @model_validator(mode="after")
    def _curve_is_whole(self) -> Self:
        if (self.slope is None) != (self.offset is None):
            raise ValueError("SEARCH_SLOPE and SEARCH_OFFSET belong together: set both or none")
        return self


class AnswersSettings(SettingsGroup):
    """Answers grounded in the conversations found."""

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
    log: LogSettings = Field(default_factory=LogSettings)
