"""Settings of rag-api."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from mh_common.settings import (
    BLANK_IS_NONE,
    ConversationsSettings,
    HistorySettings,
    MilvusSettings,
    ServiceSettings,
    SettingsGroup,
    WebSettings,
)
from pydantic import Field, SecretStr, model_validator

_Number = Annotated[float | None, BLANK_IS_NONE]


class SearchSettings(SettingsGroup):
    """Search. The numbers behind scores come from measuring: `mh_devtools.search.calibrate` prints another model's."""

    embed_timeout: float = Field(
        default=10.0, gt=0, description="Seconds, retries included, until the embedding of a query is given up."
    )
    redis_url: Annotated[Annotated[str, Field(pattern=r"^rediss?://")] | None, BLANK_IS_NONE] = Field(
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

    mode: Literal["auto", "model", "quotes"] = Field(
        default="auto",
        description="model: a language model writes them, which needs OPENAI_API_KEY. quotes: they quote the "
        "conversations, and no model is asked. auto: model with a key, else quotes.",
    )
    time_limit: float = Field(
        default=60.0,
        gt=0,
        description="Seconds, retries included, from the request until the last word of the answer is given up.",
    )
    condense_time_limit: float = Field(
        default=10.0,
        gt=0,
        description="Of these, seconds until putting a follow-up question together with the conversation is given up.",
    )
    max_retries: int = Field(
        default=1, ge=0, le=5, description="Further attempts at the language model, before the answer begins."
    )
    context_window: int = Field(
        default=8192,
        ge=2048,
        description="Tokens that the language model takes, prompt and answer together. Where the conversations do not "
        "fit, whole sentences are left out, from the end of the least similar conversation first.",
    )
    reserved_tokens: int = Field(default=1024, ge=256, description="Of these, tokens kept free for the answer.")
    heartbeat: float = Field(
        default=10.0, gt=0, description="Seconds without an event after which a streamed answer shows a sign of life."
    )

    @model_validator(mode="after")
    def _prompt_fits(self) -> Self:
        if self.context_window < 2 * self.reserved_tokens:
            raise ValueError("ANSWERS_RESERVED_TOKENS must be at most half of ANSWERS_CONTEXT_WINDOW")
        return self


class IntegrationSettings(SettingsGroup):
    """The integrations with other programs: Dify, OpenAI-compatible clients, MCP clients, pages of another origin."""

    api_key: Annotated[SecretStr | None, BLANK_IS_NONE] = Field(
        default=None,
        description="What Dify, OpenAI-compatible and MCP clients must send as bearer token; empty: whoever reaches "
        "the platform is let in there as everywhere else.",
    )
    cors_origins: str = Field(
        default="",
        pattern=r"^(\*|https?://[^\s,*/]+(\s*,\s*https?://[^\s,*/]+)*)?$",
        description="Origins whose pages may call the API from a browser, such as `https://chat.example.org`, "
        "separated by commas; `*` for any. Empty: none.",
    )
    public_url: Annotated[Annotated[str, Field(pattern=r"^https?://\S+$")] | None, BLANK_IS_NONE] = Field(
        default=None,
        description="Address under which users reach the platform, for links to conversations; empty: that of the "
        "request.",
    )
    request_keys: bool = Field(
        default=True,
        description="Whether /api/chat takes a key of the caller's own for the language model at OPENAI_BASE_URL, also "
        "with ANSWERS_MODE=quotes. false: no text goes there but by your key.",
    )

    @property
    def origins(self) -> set[str]:
        """The origins whose pages may call, one by one."""
        return {origin.strip() for origin in self.cors_origins.split(",") if origin.strip()}


class Settings(ServiceSettings):
    """All settings of rag-api. Without OPENAI_API_KEY answers quote the conversations and no model is asked."""

    milvus: MilvusSettings = Field(default_factory=MilvusSettings)
    conversations: ConversationsSettings = Field(default_factory=ConversationsSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    answers: AnswersSettings = Field(default_factory=AnswersSettings)
    # Named after its variables, DOORS_*, which operators have set.
    doors: IntegrationSettings = Field(default_factory=IntegrationSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    web: WebSettings = Field(default_factory=WebSettings)

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        missing = [*self.milvus.missing_secrets()]
        if self.answers.mode == "auto" and self.openai.api_key is None:
            missing.append("OPENAI_API_KEY, or ANSWERS_MODE=quotes to do without a language model")
        return missing

    @model_validator(mode="after")
    def _model_has_a_key(self) -> Self:
        if self.answers.mode == "model" and self.openai.api_key is None:
            raise ValueError("ANSWERS_MODE=model needs OPENAI_API_KEY")
        return self
