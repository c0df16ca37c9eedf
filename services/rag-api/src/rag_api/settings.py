"""Settings of rag-api."""

import os
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from mh_common.access_settings import AuthSettings, RateSettings
from mh_common.egress import OPENAI_URL, Recipient, recipient_at
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from mh_common.settings import (
    BLANK_IS_NONE,
    ConversationsSettings,
    DataEgress,
    EgressSettings,
    HistorySettings,
    MilvusSettings,
    PHISettings,
    ServiceSettings,
    SettingsGroup,
    WebSettings,
)
from mh_common.settings import (
    SafetySettings as _Screening,
)
from pydantic import Field, field_validator, model_validator

from rag_api.safety.helplines import helpline_table

_KEY_IS_GONE: Final = (
    "DOORS_API_KEY is no longer used. Remove it, set AUTH_MODE=required, and give each program an API key of its own: "
    "docs/access.md"
)

_Number = Annotated[float | None, BLANK_IS_NONE]


class SearchSettings(SettingsGroup):
    """Search. Scores are calibrated by embedding model; `mh_devtools.search.calibrate` prints values for others."""

    embed_timeout: float = Field(
        default=10.0, gt=0, description="Timeout of embedding a query in seconds, retries included."
    )
    redis_url: Annotated[Annotated[str, Field(pattern=r"^rediss?://")] | None, BLANK_IS_NONE] = Field(
        default=None,
        description="Redis that caches query vectors for EMBEDDING_CACHE_TTL, and counts for RATE_LIMITS; empty: each "
        "process has a cache and counts of its own.",
    )
    question_weight: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Weight of the similarity to the question within the semantic score; the rest is the weight of the "
        "similarity to question and answer together.",
    )
    keyword_weight: float = Field(
        default=0.3, ge=0, description="Weight of the keyword score, relative to 1 for the semantic score."
    )
    slope: _Number = Field(
        default=None,
        gt=0,
        description="With SEARCH_OFFSET: how evidence becomes a score in hybrid mode, in place of what is known of the "
        "embedding model.",
    )
    offset: _Number = Field(default=None, description="See SEARCH_SLOPE.")
    relevance_threshold: _Number = Field(
        default=None,
        ge=0,
        le=1,
        description="If no hit reaches this relevance in hybrid mode, answers say that nothing relevant was found; "
        "empty: the value calibrated for the embedding model, if there is one.",
    )

    @model_validator(mode="after")
    def _curve_is_whole(self) -> Self:
        if (self.slope is None) != (self.offset is None):
            raise ValueError("SEARCH_SLOPE and SEARCH_OFFSET belong together: set both or neither")
        return self


class AnswersSettings(SettingsGroup):
    """Answers grounded in the conversations found."""

    mode: Literal["auto", "model", "quotes"] = Field(
        default="auto",
        description="model: a language model generates answers; needs OPENAI_API_KEY and, unless OPENAI_BASE_URL is "
        "this machine or trusted, LLM_DATA_EGRESS. quotes: answers quote the conversations, without a language model. "
        "auto: model if there is what it needs, else quotes.",
    )
    time_limit: float = Field(
        default=60.0,
        gt=0,
        description="Overall deadline for an answer in seconds, retries included.",
    )
    condense_time_limit: float = Field(
        default=10.0,
        gt=0,
        description="Timeout of rewriting a follow-up question in seconds; part of ANSWERS_TIME_LIMIT.",
    )
    max_retries: int = Field(
        default=1,
        ge=0,
        le=5,
        description="Retries of a call of the language model that fails before the answer begins.",
    )
    context_window: int = Field(
        default=8192,
        ge=2048,
        description="Context window of the language model in tokens, prompt and answer together. If the conversations "
        "do not fit, whole sentences are left out, starting at the end of the least similar conversation.",
    )
    reserved_tokens: int = Field(
        default=1024, ge=256, description="Tokens of the context window that are reserved for the answer."
    )
    heartbeat: float = Field(
        default=10.0,
        gt=0,
        description="Seconds without an event after which a streamed answer sends a keep-alive comment.",
    )

    approved_only: bool = Field(
        default=False,
        description="true: answers rest only on conversations that a curator approved. Rejected ones are never used.",
    )
    risk_needs_approval: Annotated[bool | None, BLANK_IS_NONE] = Field(
        default=None,
        description="true: answers rest on conversations of elevated or acute risk only if a curator approved them. "
        "Empty: true with AUTH_MODE=required, false with open.",
    )

    @model_validator(mode="after")
    def _prompt_fits(self) -> Self:
        if self.context_window < 2 * self.reserved_tokens:
            raise ValueError("ANSWERS_RESERVED_TOKENS must be at most half of ANSWERS_CONTEXT_WINDOW")
        return self


class SafetySettings(_Screening):
    """Screening for risk: whether texts are read for words that often mean danger, and whose helplines are shown."""

    country: str = Field(
        default="",
        description="Countries whose helplines are shown with a notice of risk, such as `US` or `AT,DE`, separated by "
        "commas, in this order; `EU` for numbers of the European Union. Empty: none, and notices say so.",
    )

    @field_validator("country")
    @classmethod
    def _known(cls, value: str) -> str:
        known = helpline_table().countries
        countries = list(dict.fromkeys(part.strip().upper() for part in value.split(",") if part.strip()))
        if unknown := [country for country in countries if country not in known]:
            raise ValueError(
                f"there are no helplines for {', '.join(unknown)}; known are {', '.join(known)}. Leave it empty to "
                "show none"
            )
        return ",".join(countries)

    @property
    def countries(self) -> list[str]:
        """The countries in order."""
        return self.country.split(",") if self.country else []


class LLMSettings(SettingsGroup):
    """Permission to use a language model on another machine."""

    data_egress: DataEgress = Field(
        default=None,
        description="allowed: questions, their history and the conversations found may be sent to the language model, "
        "although OPENAI_BASE_URL is neither this machine nor in EGRESS_TRUSTED_HOSTS. Empty: they may not, and "
        "answers quote the conversations even if there is a key.",
    )


class IntegrationSettings(SettingsGroup):
    """Integrations with other programs: Dify, OpenAI-compatible clients, MCP clients, web pages of other origins."""

    cors_origins: str = Field(
        default="",
        pattern=r"^(\*|https?://[^\s,*/]+(\s*,\s*https?://[^\s,*/]+)*)?$",
        description="Origins whose web pages may call the API from a browser (CORS), such as "
        "`https://chat.example.org`, separated by commas; `*` for any. Empty: none.",
    )
    public_url: Annotated[Annotated[str, Field(pattern=r"^https?://\S+$")] | None, BLANK_IS_NONE] = Field(
        default=None,
        description="URL at which users reach the platform, for links to conversations; empty: that of the request.",
    )
    request_keys: bool = Field(
        default=False,
        description="Whether callers of /api/chat may use a key of their own for the language model at "
        "OPENAI_BASE_URL, even with ANSWERS_MODE=quotes; LLM_DATA_EGRESS and PHI_MODE hold for them too. false: who "
        "sends a key is answered by quotes, and told so.",
    )

    @property
    def origins(self) -> set[str]:
        """The allowed origins as a set."""
        return {origin.strip() for origin in self.cors_origins.split(",") if origin.strip()}


class Settings(ServiceSettings):
    """All settings of rag-api. Answers quote the conversations unless a language model has a key and may get texts."""

    milvus: MilvusSettings = Field(default_factory=MilvusSettings)
    conversations: ConversationsSettings = Field(default_factory=ConversationsSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    llm: LLMSettings = Field(default_factory=LLMSettings)
    egress: EgressSettings = Field(default_factory=EgressSettings)
    phi: PHISettings = Field(default_factory=PHISettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    answers: AnswersSettings = Field(default_factory=AnswersSettings)
    safety: SafetySettings = Field(default_factory=SafetySettings)
    # The field name gives the environment variables their prefix, DOORS_, which deployments already use.
    doors: IntegrationSettings = Field(default_factory=IntegrationSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    web: WebSettings = Field(default_factory=WebSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    rate: RateSettings = Field(default_factory=RateSettings)

    @model_validator(mode="before")
    @classmethod
    def _no_key_of_former_releases(cls, values: Any) -> Any:
        """Refuse a setting whose owner believes that it still protects something."""
        doors = values.get("doors") if isinstance(values, dict) else None
        if (isinstance(doors, dict) and doors.get("api_key")) or os.environ.get("DOORS_API_KEY_FILE"):
            raise ValueError(_KEY_IS_GONE)
        return values

    @model_validator(mode="after")
    def _access_is_decided(self) -> Self:
        self.auth.check(self.web.host)
        return self

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        missing = [*self.milvus.missing_secrets()]
        if self.answers.mode == "auto" and self.openai.api_key is None:
            missing.append("OPENAI_API_KEY, or ANSWERS_MODE=quotes to run without a language model")
        return missing

    @property
    def language_model_server(self) -> Recipient:
        """The server of the language model, which may not be allowed to get texts."""
        return recipient_at(self.openai.base_url or OPENAI_URL, self.egress)

    @property
    def may_ask_language_model(self) -> bool:
        """Whether questions and conversations may be sent to that server."""
        return self.language_model_server.may_get_texts(self.llm.data_egress)

    @property
    def risk_needs_approval(self) -> bool:
        """Whether conversations of elevated or acute risk must be approved before answers rest on them."""
        told = self.answers.risk_needs_approval
        return not self.auth.is_open if told is None else told

    @model_validator(mode="after")
    def _model_can_be_used(self) -> Self:
        if self.answers.mode == "model" and self.openai.api_key is None:
            raise ValueError("ANSWERS_MODE=model needs OPENAI_API_KEY")
        if self.answers.mode == "model" and not self.may_ask_language_model:
            raise ValueError(
                f"ANSWERS_MODE=model needs LLM_DATA_EGRESS=allowed to send texts to {self.language_model_server.name}"
            )
        return self
