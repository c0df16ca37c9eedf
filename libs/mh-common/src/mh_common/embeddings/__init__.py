"""Embeddings: the `Embedder` protocol, its adapters, a cache, and `make_embedder`, which selects by settings.

Importing this package imports neither openai nor onnxruntime; the adapter that needs one imports it.
"""

import os
from typing import TYPE_CHECKING, Any

from mh_common.embeddings.cache import CachedEmbedder
from mh_common.embeddings.factory import EmbeddingPlan, make_embedder, plan_embedder
from mh_common.embeddings.protocol import Embedder, EmbedderError, TextUse, TextWithheldError, VectorLengthError
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings

if TYPE_CHECKING:
    from mh_common.embeddings.local import LocalEmbedder
    from mh_common.embeddings.openai_compatible import OpenAICompatibleEmbedder
    from mh_common.embeddings.text_embeddings_inference import TextEmbeddingsInferenceEmbedder

__all__ = [
    "CachedEmbedder",
    "Embedder",
    "EmbedderError",
    "EmbeddingPlan",
    "EmbeddingSettings",
    "LocalEmbedder",
    "OpenAICompatibleEmbedder",
    "OpenAISettings",
    "TextEmbeddingsInferenceEmbedder",
    "TextUse",
    "TextWithheldError",
    "VectorLengthError",
    "make_embedder",
    "plan_embedder",
]

# Since 1.29 onnxruntime sends telemetry unless this is set before it is imported. Nothing here may send data that the
# operator did not ask for.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_ADAPTERS = {
    "LocalEmbedder": "local",
    "OpenAICompatibleEmbedder": "openai_compatible",
    "TextEmbeddingsInferenceEmbedder": "text_embeddings_inference",
}


def __getattr__(name: str) -> Any:
    if name not in _ADAPTERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ADAPTERS[name]}"), name)
