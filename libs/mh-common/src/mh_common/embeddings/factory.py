"""Create the embedder that the settings describe."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from mh_common.egress import LOCAL, OPENAI_URL, EgressNotAllowedError, Recipient, recipient_at
from mh_common.embeddings.cache import CachedEmbedder, VectorStore
from mh_common.embeddings.guarded import GuardedEmbedder
from mh_common.embeddings.local_models import LOCAL_MODELS, MINILM
from mh_common.embeddings.protocol import Embedder, EmbedderError, TextUse
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from mh_common.identifiers import Recognizer, make_recognizer
from mh_common.models import PhiMode
from mh_common.settings import EgressSettings, PHISettings

if TYPE_CHECKING:
    from mh_common.embeddings.remote import RemoteOptions

DEFAULT_OPENAI_MODEL = "text-embedding-3-small"
_HINT = (
    "Set OPENAI_API_KEY or EMBEDDING_BASE_URL to use an embedding server, with EMBEDDING_DATA_EGRESS=allowed if it is "
    "another machine, or install mh-common[local-model] (the image variant local-model includes it)"
)
PLACEHOLDER_KEY = "none"
"""Sent to a server that needs no key, because the SDK requires one."""

LOCAL_TEXTS_PER_CALL: Final = 32
"""A local model takes seconds for as many, so that a job which runs out of time has not embedded in vain."""

NOTHING_TRUSTED: Final = EgressSettings()
BY_RECIPIENT: Final = PHISettings()

Provider = Literal["local", "openai", "tei"]


@dataclass(frozen=True)
class EmbeddingPlan:
    """Which embedder the settings describe.

    Attributes:
        provider: as in the settings, but never `auto`.
        recipient: the server that gets the texts, or `LOCAL` for the model within this process.
        phi_mode: what happens to identifiers in texts for a server.
        note: for the operator, in one line, if OPENAI_API_KEY does not select its server; else None.
    """

    provider: Provider
    recipient: Recipient = LOCAL
    phi_mode: PhiMode = PhiMode.OFF
    note: str | None = None


def plan_embedder(
    embedding: EmbeddingSettings,
    openai: OpenAISettings,
    egress: EgressSettings = NOTHING_TRUSTED,
    phi: PHISettings = BY_RECIPIENT,
) -> EmbeddingPlan:
    """Return which embedder the settings describe.

    Raises:
        ValueError: they lack a key; the message names the variable.
        EgressNotAllowedError: they describe a server on another machine, without permission to send texts there.
    """
    provider = _provider(embedding, openai)
    url = _server_url(provider, embedding, openai)
    if url is None:
        return EmbeddingPlan(provider)
    recipient = recipient_at(url, egress)
    if recipient.may_get_texts(embedding.data_egress):
        return EmbeddingPlan(provider, recipient, recipient.phi_mode(phi))
    if _has_own_settings(embedding):
        raise EgressNotAllowedError(
            f"Texts may not be sent to the embedding server at {recipient.name}: set EMBEDDING_DATA_EGRESS=allowed to "
            "allow it, list the host in EGRESS_TRUSTED_HOSTS if it is your own, or set EMBEDDING_PROVIDER=local"
        )
    return EmbeddingPlan(
        "local",
        note="Embeddings are made on this machine, although there is OPENAI_API_KEY: set EMBEDDING_DATA_EGRESS=allowed "
        f"to send all queries and conversations to {recipient.name}, or EMBEDDING_PROVIDER=local to leave it so",
    )


def make_embedder(
    embedding: EmbeddingSettings,
    openai: OpenAISettings,
    egress: EgressSettings = NOTHING_TRUSTED,
    phi: PHISettings = BY_RECIPIENT,
    *,
    store: VectorStore | None = None,
    recognizer: Recognizer | None = None,
) -> CachedEmbedder:
    """Create the embedder that the settings describe, with a cache.

    `store` is the cache's optional second level and is closed with it. `recognizer` finds identifiers in texts for a
    server; by default, one is made if it is needed. The provider's library is imported only here, so a service needs
    only the one it uses.

    Raises:
        ValueError: the settings contradict each other; the message names the variables.
        EgressNotAllowedError: as in `plan_embedder`.
        EmbedderError: the local model's files are missing or not the expected ones.
    """
    plan = plan_embedder(embedding, openai, egress, phi)
    is_local = plan.provider == "local"
    if is_local:
        embedder = _local(embedding, openai)
    else:
        embedder = {"openai": _openai, "tei": _tei}[plan.provider](embedding, openai, plan.recipient)
    if plan.phi_mode is not PhiMode.OFF:
        embedder = GuardedEmbedder(
            embedder, plan.phi_mode, recognizer or make_recognizer(), max_length=embedding.max_text_bytes
        )
    prefixes = {TextUse.QUERY: embedding.query_prefix, TextUse.PASSAGE: embedding.passage_prefix}
    return CachedEmbedder(
        embedder,
        memory_size=embedding.cache_size,
        store=store,
        prefixes=prefixes,
        separate_queries=is_local and LOCAL_MODELS[embedder.model].shortens_queries,
        texts_per_call=LOCAL_TEXTS_PER_CALL if is_local else None,
    )


def _provider(embedding: EmbeddingSettings, openai: OpenAISettings) -> Provider:
    if embedding.provider != "auto":
        return embedding.provider
    if embedding.api_key or embedding.base_url:
        return "openai"
    # OPENAI_BASE_URL alone does not count: many chat servers have no embeddings endpoint. Nor does OPENAI_API_KEY with
    # a model that OpenAI does not have.
    return "openai" if openai.api_key and embedding.model not in LOCAL_MODELS else "local"


def _has_own_settings(embedding: EmbeddingSettings) -> bool:
    """Return whether embeddings are meant to come from a server, rather than a key that is there for answers."""
    chosen = (embedding.api_key, embedding.base_url, embedding.model, embedding.dimension)
    return embedding.provider != "auto" or any(value is not None for value in chosen)


def _server_url(provider: Provider, embedding: EmbeddingSettings, openai: OpenAISettings) -> str | None:
    if provider == "openai":
        return _openai_url(embedding, openai)
    return embedding.base_url if provider == "tei" else None


def _openai_url(embedding: EmbeddingSettings, openai: OpenAISettings) -> str:
    url = embedding.base_url or openai.base_url
    if url is None and embedding.api_key is None and openai.api_key is None:
        raise ValueError("EMBEDDING_PROVIDER=openai needs OPENAI_API_KEY or EMBEDDING_API_KEY")
    return url or OPENAI_URL


def _local(embedding: EmbeddingSettings, _: OpenAISettings) -> Embedder:
    try:
        from mh_common.embeddings.local import LocalEmbedder
    except ModuleNotFoundError as error:
        message = f"The local embedding model is not installed. {_HINT}"
        raise EmbedderError(message, transient=True) from error

    model = LOCAL_MODELS.get(embedding.model or MINILM.name)
    if model is None or embedding.dimension not in (None, model.dimension):
        known = " and ".join(f"{one.name} with {one.dimension} dimensions" for one in LOCAL_MODELS.values())
        raise ValueError(
            f"The local models are {known}: set EMBEDDING_MODEL to one of them, or leave it empty for the first, and "
            "leave EMBEDDING_DIMENSION empty; or set OPENAI_API_KEY or EMBEDDING_BASE_URL to use another"
        )
    return LocalEmbedder(model, threads=embedding.threads, model_dir=embedding.model_dir)


def _openai(embedding: EmbeddingSettings, openai: OpenAISettings, recipient: Recipient) -> Embedder:
    from mh_common.embeddings.openai_compatible import NATIVE_DIMENSIONS, OpenAICompatibleEmbedder

    model = embedding.model or DEFAULT_OPENAI_MODEL
    dimension = embedding.dimension or NATIVE_DIMENSIONS.get(model)
    if dimension is None:
        raise ValueError(f"Set EMBEDDING_DIMENSION: the dimension of {model} is not known")
    # OPENAI_API_KEY belongs to the server at OPENAI_BASE_URL and is sent to no other.
    key = embedding.api_key or (None if embedding.base_url else openai.api_key)
    return OpenAICompatibleEmbedder(
        api_key=key.get_secret_value() if key else PLACEHOLDER_KEY,
        base_url=_openai_url(embedding, openai),
        model=model,
        dimension=dimension,
        client_options=recipient.client_options,
        **_remote_options(embedding, 128),
    )


def _tei(embedding: EmbeddingSettings, _: OpenAISettings, recipient: Recipient) -> Embedder:
    from mh_common.embeddings.text_embeddings_inference import BATCH_SIZE, TextEmbeddingsInferenceEmbedder

    if embedding.base_url is None or embedding.model is None or embedding.dimension is None:
        raise ValueError("EMBEDDING_PROVIDER=tei needs EMBEDDING_BASE_URL, EMBEDDING_MODEL and EMBEDDING_DIMENSION")
    return TextEmbeddingsInferenceEmbedder(
        base_url=embedding.base_url,
        api_key=embedding.api_key.get_secret_value() if embedding.api_key else None,
        model=embedding.model,
        dimension=embedding.dimension,
        client_options=recipient.client_options,
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
