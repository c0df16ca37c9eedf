"""A stub embedder that costs almost nothing, and the platform's own programs running with it.

With the cost of the local model removed, a benchmark measures everything else. The programs are the deployed ones;
nothing else in them is changed.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from fastapi import FastAPI
from mh_common.embeddings import factory
from mh_common.embeddings.protocol import Embedder, TextUse
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings

MODEL = "all-MiniLM-L6-v2"
"""The local model's name: the worker's preflight and the readers of the index accept no other."""
DIMENSION = 384

_MANY = 4096
_PARTS = np.random.default_rng(0).standard_normal((_MANY, DIMENSION), np.float32)

CELERY_APP = "mh_devtools.bench.stub_worker"
RAG_APP = "mh_devtools.bench.stub_embedder:create_rag_app"


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return a deterministic unit vector for each text: an array (texts, 384) of float32."""
    # The sum of two precomputed vectors: a new random one for each text would take a tenth of the time of indexing it.
    seeds = np.array([zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts], np.uint32)
    found = _PARTS[seeds % _MANY] + _PARTS[seeds // _MANY % _MANY]
    unit: npt.NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


class StubEmbedder:
    """An `Embedder` whose vectors carry no meaning."""

    model = MODEL
    dimension = DIMENSION

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`."""
        return vectors(texts).tolist() if texts else []

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def install() -> None:
    """Replace the local model by the stub embedder in this process."""

    def make(embedding: EmbeddingSettings, _: OpenAISettings) -> Embedder:
        return StubEmbedder()

    factory._local = make


def create_rag_app() -> FastAPI:
    """Return rag-api with the stub embedder."""
    install()
    from rag_api.main import create_app

    return create_app()
