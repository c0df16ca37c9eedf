"""Metrics of embedding. Every metric has a label, so that a process that embeds nothing creates no metric files."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from mh_common import tracing
from mh_common.embeddings.protocol import EmbedderError
from mh_common.metrics import SLOW_BUCKETS, Counter, Histogram

_MILLION: Final = 1_000_000

CACHE: Final = Counter(
    "mh_embedding_cache_total", "Distinct texts per call, by where their vector came from.", ("source",)
)
CALLS: Final = Counter(
    "mh_embedding_calls_total",
    "Calls of the embedder behind the cache: ok, failed, refused, or abandoned because they took too long.",
    ("model", "outcome"),
)
CALL_SECONDS: Final = Histogram(
    "mh_embedding_call_duration_seconds",
    "Duration of a call of the embedder behind the cache, retries included.",
    ("model",),
    buckets=SLOW_BUCKETS,
)
TEXTS: Final = Counter("mh_embedding_texts_total", "Texts that the embedder behind the cache embedded.", ("model",))
TOKENS: Final = Counter("mh_embedding_tokens_total", "Tokens of these texts, if the embedder reports them.", ("model",))
COST: Final = Counter(
    "mh_embedding_cost_total",
    "Estimated cost of these tokens, in the currency of EMBEDDING_TOKEN_PRICE; absent if that is not set.",
    ("model",),
)
ATTEMPTS: Final = Counter(
    "mh_embedding_attempts_total",
    "Requests to the embedding server, retries included, by HTTP status or kind of failure.",
    ("model", "status"),
)


@contextmanager
def embedder_call(model: str, texts: int) -> Iterator[None]:
    """Measure the block as one call of the embedder behind the cache."""
    outcome = "abandoned"
    try:
        with tracing.span("embed", mh_model=model, mh_texts=texts), CALL_SECONDS.labels(model).time():
            yield
        outcome = "ok"
        TEXTS.labels(model).inc(texts)
    except EmbedderError as error:
        outcome = "failed" if error.transient else "refused"
        raise
    finally:
        CALLS.labels(model, outcome).inc()


def count_cache(source: Literal["memory", "store", "none"], texts: int) -> None:
    """Count where the vectors of this many distinct texts came from; none: they had to be embedded."""
    if texts:
        CACHE.labels(source).inc(texts)


def count_tokens(model: str, tokens: int, price: float = 0.0) -> None:
    """Count tokens and, with a price per million, their cost."""
    TOKENS.labels(model).inc(tokens)
    if price:
        COST.labels(model).inc(tokens * price / _MILLION)
