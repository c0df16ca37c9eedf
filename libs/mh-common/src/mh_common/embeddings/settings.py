"""Settings of the embedder, and of OpenAI, whose key and address it shares with the answering of questions."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, SecretStr

from mh_common.settings import BLANK_IS_NONE, SettingsGroup

# An empty key must not count as a key.
_Key = Annotated[SecretStr | None, BLANK_IS_NONE]
_Text = Annotated[str | None, BLANK_IS_NONE]
_Url = Annotated[Annotated[str, Field(pattern=r"^https?://")] | None, BLANK_IS_NONE]


class OpenAISettings(SettingsGroup):
    """OpenAI or a server that speaks its protocol."""

    api_key: _Key = Field(default=None, description="API key. Without one, nothing is sent to OpenAI.")
    base_url: _Url = Field(default=None, description="Address up to and with /v1; empty for OpenAI itself.")
    model: str = Field(default="gpt-4o-mini", description="Model that answers questions.")
    timeout: float = Field(default=60.0, gt=0, description="Seconds until a call is given up.")
    prompt_price: float = Field(
        default=0.0,
        ge=0,
        description="Price of a million tokens that are sent to the model, in any currency, for the estimated cost "
        "among the metrics. 0: not known, and no cost is shown.",
    )
    completion_price: float = Field(default=0.0, ge=0, description="The same for tokens that the model writes.")


class EmbeddingSettings(SettingsGroup):
    """How texts become vectors. Whoever writes the index and whoever searches it must have the same."""

    model_config = ConfigDict(populate_by_name=True)

    provider: Literal["auto", "local", "openai", "tei"] = Field(
        default="auto",
        description="local: all-MiniLM-L6-v2 on this machine. openai: OpenAI or a server that speaks its protocol. "
        "tei: a server of Hugging Face's text-embeddings-inference at EMBEDDING_BASE_URL. "
        "auto: openai when EMBEDDING_API_KEY, EMBEDDING_BASE_URL or OPENAI_API_KEY is set, else local. "
        "A change makes the index's vectors useless until it is built again.",
    )
    model: _Text = Field(
        default=None, description="Embedding model; empty for text-embedding-3-small, or the local model."
    )
    dimension: Annotated[int | None, BLANK_IS_NONE] = Field(
        default=None,
        ge=1,
        description="Length of a vector; empty for the model's own. Needed for models other than OpenAI's.",
    )
    base_url: _Url = Field(
        default=None,
        description="Address of another embedding server than OPENAI_BASE_URL. OPENAI_API_KEY is not sent there.",
    )
    api_key: _Key = Field(default=None, description="API key for embeddings; empty for OPENAI_API_KEY.")
    query_prefix: str = Field(
        default="",
        description="What the model wants before a text that somebody searches for, for example 'query: ' for e5. "
        "Blanks at its end count: quote it.",
    )
    passage_prefix: str = Field(
        default="", description="The same before a text that is to be found, for example 'passage: '."
    )
    pad: Annotated[bool, BeforeValidator(lambda value: False if value == "" else value)] = Field(
        default=False,
        validation_alias=AliasChoices("pad", "_pad"),
        description="Fill vectors that are shorter than EMBEDDING_DIMENSION up with zeros. Otherwise a wrong length is "
        "an error, as it mostly means a wrong model. EMBEDDING__PAD is the same.",
    )
    batch_size: Annotated[int | None, BLANK_IS_NONE] = Field(
        default=None,
        ge=1,
        le=2048,
        description="Most texts in one request to the server; empty for 128, or 32 with tei, its own limit.",
    )
    max_concurrency: int = Field(default=4, ge=1, description="Most requests to the server at the same time.")
    timeout: float = Field(default=30.0, gt=0, description="Seconds until one attempt of a request is given up.")
    max_attempts: int = Field(default=5, ge=1, description="Most attempts for one request.")
    max_wait: float = Field(default=60.0, ge=0, description="Most seconds waited between attempts of one request.")
    max_text_bytes: int = Field(
        default=24_000, ge=1, description="Texts sent to a server are cut here, counted in UTF-8; fits 8,192 tokens."
    )
    token_price: float = Field(
        default=0.0,
        ge=0,
        description="Price of a million tokens at the embedding server, in any currency, for the estimated cost among "
        "the metrics. 0: not known, and no cost is shown.",
    )
    threads: int = Field(default=0, ge=0, description="Threads of the local model; 0 for all processors, at most 4.")
    model_dir: Annotated[Path | None, BLANK_IS_NONE] = Field(
        default=None, description="Folder with the local model's files; empty for the installed package."
    )
    cache_size: int = Field(default=10_000, ge=0, description="Vectors kept in memory by each process.")
    cache_ttl: int = Field(default=7 * 86_400, ge=1, description="Seconds that a vector stays in Redis.")
