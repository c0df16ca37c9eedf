"""Settings of embeddings, and of OpenAI, whose key and URL embeddings and answers share."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, SecretStr

from mh_common.settings import BLANK_IS_NONE, DataEgress, SettingsGroup

# An empty key must not count as a key.
_Key = Annotated[SecretStr | None, BLANK_IS_NONE]
_Text = Annotated[str | None, BLANK_IS_NONE]
_Url = Annotated[Annotated[str, Field(pattern=r"^https?://")] | None, BLANK_IS_NONE]


class OpenAISettings(SettingsGroup):
    """OpenAI or a server with its API. If it is remote, it needs LLM_DATA_EGRESS or EMBEDDING_DATA_EGRESS as well."""

    api_key: _Key = Field(
        default=None,
        description="API key. With it a language model writes the answers, and the same server embeds all queries and "
        "conversations unless EMBEDDING_PROVIDER, EMBEDDING_BASE_URL or EMBEDDING_API_KEY says otherwise.",
    )
    base_url: _Url = Field(
        default=None,
        description="URL including /v1; empty for OpenAI itself. Redirects are not followed.",
    )
    model: str = Field(default="gpt-4o-mini", description="Model that answers questions.")
    timeout: float = Field(default=60.0, gt=0, description="Timeout of a call, in seconds.")
    prompt_price: float = Field(
        default=0.0,
        ge=0,
        description="Price of a million prompt tokens, in any currency, for the cost metric. 0: unknown, no cost is "
        "reported.",
    )
    completion_price: float = Field(default=0.0, ge=0, description="The same for completion tokens.")
    store_false: Annotated[bool | None, BLANK_IS_NONE] = Field(
        default=None,
        description="Whether calls of the language model say `store: false`, so that the provider does not keep them "
        "for its dashboard. Empty: only calls to OpenAI itself, since other servers may reject the parameter.",
    )


class EmbeddingSettings(SettingsGroup):
    """Embeddings. The worker, which writes the index, and rag-api, which searches it, need the same settings."""

    model_config = ConfigDict(populate_by_name=True)

    provider: Literal["auto", "local", "openai", "tei"] = Field(
        default="auto",
        description="local: a model on this machine, see EMBEDDING_MODEL. openai: OpenAI or a compatible server. "
        "tei: Hugging Face's text-embeddings-inference at EMBEDDING_BASE_URL. "
        "auto: openai if EMBEDDING_API_KEY, EMBEDDING_BASE_URL or OPENAI_API_KEY is set, else local; also local if "
        "there is OPENAI_API_KEY alone and EMBEDDING_MODEL is a local one or the key's server may not get texts. After "
        "a change the index must be rebuilt.",
    )
    data_egress: DataEgress = Field(
        default=None,
        description="allowed: the texts of all queries and conversations may be sent to the embedding server, although "
        "it is neither this machine nor in EGRESS_TRUSTED_HOSTS. Empty: they may not.",
    )
    model: _Text = Field(
        default=None,
        description="Embedding model; empty for text-embedding-3-small or, on this machine, all-MiniLM-L6-v2. There is "
        "also all-mpnet-base-v2, which finds more, takes several times as long, and must be set up. After a change the "
        "index must be rebuilt.",
    )
    dimension: Annotated[int | None, BLANK_IS_NONE] = Field(
        default=None,
        ge=1,
        description="Vector length; empty for the model's default. Required for models other than OpenAI's.",
    )
    base_url: _Url = Field(
        default=None,
        description="URL of the embedding server, if it is not OPENAI_BASE_URL. OPENAI_API_KEY is not sent there.",
    )
    api_key: _Key = Field(default=None, description="API key for embeddings; empty for OPENAI_API_KEY.")
    query_prefix: str = Field(
        default="",
        description="Prefix that the model expects before search queries, for example 'query: ' for e5. Trailing "
        "spaces count: quote it.",
    )
    passage_prefix: str = Field(
        default="", description="Prefix that the model expects before indexed texts, for example 'passage: '."
    )
    pad: Annotated[bool, BeforeValidator(lambda value: False if value == "" else value)] = Field(
        default=False,
        validation_alias=AliasChoices("pad", "_pad"),
        description="Pad vectors shorter than EMBEDDING_DIMENSION with zeros. Otherwise a wrong length is an error, as "
        "it usually means a wrong model. EMBEDDING__PAD is an alias.",
    )
    batch_size: Annotated[int | None, BLANK_IS_NONE] = Field(
        default=None,
        ge=1,
        le=2048,
        description="Maximum number of texts in one request to the server; empty for 128, or 32 with tei, its default "
        "limit.",
    )
    max_concurrency: int = Field(default=4, ge=1, description="Maximum number of concurrent requests to the server.")
    timeout: float = Field(default=30.0, gt=0, description="Timeout of one attempt of a request, in seconds.")
    max_attempts: int = Field(default=5, ge=1, description="Maximum number of attempts for one request.")
    max_wait: float = Field(
        default=60.0, ge=0, description="Maximum total wait between the attempts of one request, in seconds."
    )
    max_text_bytes: int = Field(
        default=24_000,
        ge=1,
        description="Texts sent to a server are truncated to this many bytes of UTF-8; the default suits a window of "
        "8,192 tokens.",
    )
    token_price: float = Field(
        default=0.0,
        ge=0,
        description="Price of a million tokens at the embedding server, in any currency, for the cost metric. 0: "
        "unknown, no cost is reported.",
    )
    threads: int = Field(default=0, ge=0, description="Threads of the local model; 0 for all CPUs, at most 4.")
    model_dir: Annotated[Path | None, BLANK_IS_NONE] = Field(
        default=None,
        description="Folder with the files of all-MiniLM-L6-v2 and, in its subfolder of that name, those of "
        "all-mpnet-base-v2; empty: where they were installed.",
    )
    cache_size: int = Field(default=10_000, ge=0, description="Vectors cached in memory, per process.")
    cache_ttl: int = Field(default=7 * 86_400, ge=1, description="Seconds that a vector is cached in Redis.")
