"""An embedder that costs nothing, and the platform's own programs with it in the place of the local model.

What is left to be measured is all the rest. The programs are those that are deployed; nothing else of them is changed.
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
"""The local model's name, since the worker's preflight and whoever else reads the index know no other."""
DIMENSION = 384

_MANY = 4096
_PARTS = np.random.default_rng(0).standard_normal((_MANY, DIMENSION), np.float32)

CELERY_APP = "mh_devtools.bench.free_worker"
RAG_APP = "mh_devtools.bench.free:create_rag_app"


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return a unit vector for each text, always the same one: an array (texts, 384) of float32."""
    # The sum of two that are kept: a new one for each text would take a tenth of the time of indexing it.
    seeds = np.array([zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts], np.uint32)
    found = _PARTS[seeds % _MANY] + _PARTS[seeds // _MANY % _MANY]
    unit: npt.NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


class FreeEmbedder:
    """An `Embedder` whose vectors mean nothing."""

    model = MODEL
    dimension = DIMENSION

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`."""
        return vectors(texts).tolist() if texts else []

    async def close(self) -> None:
        """Nothing is held."""


def install() -> None:
    """Let this process have the free embedder wherever it would load the local model."""

    def make(embedding: EmbeddingSettings, _: OpenAISettings) -> Embedder:
        return FreeEmbedder()

    factory._local = make


def create_rag_app() -> FastAPI:
    """Return rag-api with the free embedder."""
    install()
    from rag_api.main import create_app

    return create_app()
