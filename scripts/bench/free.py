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

MODEL = "free"
DIMENSION = 384
LOCAL_MODEL = "all-MiniLM-L6-v2"

CELERY_APP = "bench.free_worker"
RAG_APP = "bench.free:create_rag_app"
DISGUISED_RAG_APP = "bench.free:create_disguised_rag_app"


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return a unit vector for each text, always the same one: an array (texts, 384) of float32."""
    seeds = (zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts)
    found = np.stack([np.random.default_rng(seed).standard_normal(DIMENSION, np.float32) for seed in seeds])
    unit: npt.NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


class FreeEmbedder:
    """An `Embedder` whose vectors mean nothing."""

    dimension = DIMENSION

    def __init__(self, model: str = MODEL) -> None:
        self.model = model

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`."""
        return vectors(texts).tolist() if texts else []

    async def close(self) -> None:
        """Nothing is held."""


def install(model: str = MODEL) -> None:
    """Let this process have the free embedder, under this name, wherever it would load the local model."""

    def make(embedding: EmbeddingSettings, _: OpenAISettings) -> Embedder:
        return FreeEmbedder(model)

    factory._local = make


def create_rag_app() -> FastAPI:
    """Return rag-api with the free embedder."""
    install()
    from rag_api.main import create_app

    return create_app()


def create_disguised_rag_app() -> FastAPI:
    """Return rag-api with the free embedder, which says that it is the local model: for an index that both search."""
    install(LOCAL_MODEL)
    from rag_api.main import create_app

    return create_app()
