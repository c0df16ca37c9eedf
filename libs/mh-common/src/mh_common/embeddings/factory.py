"""Create the embedder that the settings describe."""

from typing import TYPE_CHECKING

from mh_common.embeddings.cache import CachedEmbedder, VectorStore
from mh_common.embeddings.protocol import Embedder, EmbedderError, TextUse
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings

if TYPE_CHECKING:
    from mh_common.embeddings.remote import RemoteOptions

DEFAULT_OPENAI_MODEL = "text-embedding-3-small"
_HINT = (
    "Set OPENAI_API_KEY or EMBEDDING_BASE_URL to use an embedding server, or install mh-common[local-model] (the image "
    "variant local-model includes it)"
)
PLACEHOLDER_KEY = "none"
"""Sent to a server that needs no key, because the SDK requires one."""


def make_embedder(
    embedding: EmbeddingSettings, openai: OpenAISettings, *, store: VectorStore | None = None
) -> CachedEmbedder:
    """Create the embedder that the settings describe, with a cache.

    `store` is the cache's optional second level and is closed with it. The provider's library is imported only here, so
    a service needs only the one it uses.

    Raises:
        ValueError: the settings contradict each other; the message names the variables.
        EmbedderError: the local model's files are missing or not the expected ones.
    """
    make = {"local": _local, "openai": _openai, "tei": _tei}[_provider(embedding, openai)]
    prefixes = {TextUse.QUERY: embedding.query_prefix, TextUse.PASSAGE: embedding.passage_prefix}
    return CachedEmbedder(make(embedding, openai), memory_size=embedding.cache_size, store=store, prefixes=prefixes)


def _provider(embedding: EmbeddingSettings, openai: OpenAISettings) -> str:
    if embedding.provider != "auto":
        return embedding.provider
    # OPENAI_BASE_URL alone does not count: many chat servers have no embeddings endpoint.
    return "openai" if embedding.api_key or embedding.base_url or openai.api_key else "local"


def _local(embedding: EmbeddingSettings, _: OpenAISettings) -> Embedder:
    try:
        from mh_common.embeddings.local import DIMENSION, MODEL, LocalEmbedder
    except ModuleNotFoundError as error:
        message = f"The local embedding model is not installed. {_HINT}"
        raise EmbedderError(message, transient=True) from error

    if embedding.model not in (None, MODEL) or embedding.dimension not in (None, DIMENSION):
        raise ValueError(
            f"The local embedder is {MODEL} with {DIMENSION} dimensions: leave EMBEDDING_MODEL and EMBEDDING_DIMENSION "
            "empty, or set OPENAI_API_KEY or EMBEDDING_BASE_URL to use another"
        )
    return LocalEmbedder(threads=embedding.threads, model_dir=embedding.model_dir)


def _openai(embedding: EmbeddingSettings, openai: OpenAISettings) -> Embedder:
    from mh_common.embeddings.openai_compatible import NATIVE_DIMENSIONS, OpenAICompatibleEmbedder

    model = embedding.model or DEFAULT_OPENAI_MODEL
    dimension = embedding.dimension or NATIVE_DIMENSIONS.get(model)
    if dimension is None:
        raise ValueError(f"Set EMBEDDING_DIMENSION: the dimension of {model} is not known")
    # OPENAI_API_KEY belongs to the server at OPENAI_BASE_URL and is sent to no other.
    key = embedding.api_key or (None if embedding.base_url else openai.api_key)
    base_url = embedding.base_url or openai.base_url
    if key is None and base_url is None:
        raise ValueError("EMBEDDING_PROVIDER=openai needs OPENAI_API_KEY or EMBEDDING_API_KEY")
    return OpenAICompatibleEmbedder(
        api_key=key.get_secret_value() if key else PLACEHOLDER_KEY,
        base_url=base_url,
        model=model,
        dimension=dimension,
        **_remote_options(embedding, 128),
    )


def _tei(embedding: EmbeddingSettings, _: OpenAISettings) -> Embedder:
    from mh_common.embeddings.text_embeddings_inference import BATCH_SIZE, TextEmbeddingsInferenceEmbedder

    if embedding.base_url is None or embedding.model is None or embedding.dimension is None:
        raise ValueError("EMBEDDING_PROVIDER=tei needs EMBEDDING_BASE_URL, EMBEDDING_MODEL and EMBEDDING_DIMENSION")
    return TextEmbeddingsInferenceEmbedder(
        base_url=embedding.base_url,
        api_key=embedding.api_key.get_secret_value() if embedding.api_key else None,
        model=embedding.model,
        dimension=embedding.dimension,
        **_remote_options(embedding, BATCH_SIZE),
    )


def _remote_options(embedding: EmbeddingSettings, batch_size: int) -> "RemoteOptions":
    return {
        "batch_size": embedding.batch_size or batch_size,
        "max_concurrency": embedding.max_concurrency,
        "timeout": embedding.timeout,
        "max_attempts": embedding.max_attempts,
        "max_wait": embedding.max_wait,
        "max_text_bytes": embedding.max_text_bytes,
        "pad": embedding.pad,
        "token_price": embedding.token_price,
    }
