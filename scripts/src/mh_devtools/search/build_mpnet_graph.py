"""Writes the ONNX graph of all-mpnet-base-v2 that `mh_common.embeddings.local` runs. Only needed for development.

Like the graph of all-MiniLM-L6-v2 it contains, instead of the weights, their offsets in `model.safetensors`: that in
8 bits, which `mh_common.embeddings.mpnet_weights` makes. Its SHA-256 is checked first.

    pip install onnx
    python -m mh_devtools.set_up.quality_model                # gets the weights
    python -m mh_devtools.search.build_mpnet_graph            # writes the graph
    python -m mh_devtools.search.build_mpnet_graph --check    # fails when the committed graph differs
"""

import argparse
import math
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from mh_common.embeddings.local import verify_model
from mh_common.embeddings.local_models import MPNET
from mh_common.embeddings.mpnet_weights import BLOCK, INTEGERS, SCALES
from onnx import TensorProto, numpy_helper

from mh_devtools.search.build_minilm_graph import (
    GraphBuilder,
    LayerNames,
    add_layer,
    add_mask,
    add_pooling,
    finished,
    write_or_check,
)

CONFIG: Final = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "layer_norm_eps": 1e-5}
"""Of its `config.json`, what the graph needs."""
NAMES: Final = LayerNames(
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    output="attention.attn.o",
    norm="attention",
)
FIRST_POSITION: Final = 2
"""Of the position vectors; those before it are for padding."""
BUCKETS: Final = 32
EXACT: Final = BUCKETS // 4
"""Distances below this have a bucket of their own, in each direction."""
FURTHEST: Final = 128
"""Distances from here on share a bucket."""
INT8_ACCURACY: Final = 4
"""MatMulNBits' `accuracy_level` for which the activations are in 8 bits too, which is faster."""
MICROSOFT: Final = "com.microsoft"
"""The domain of MatMulNBits."""


class QuantisedGraphBuilder(GraphBuilder):
    """Multiplies by weights in 8 bits."""

    def linear(self, x: str, prefix: str) -> str:
        """Add x · weightᵀ + bias, for x of shape (rows, width)."""
        integers, scales = self.weight(f"{prefix}.weight{INTEGERS}"), self.weight(f"{prefix}.weight{SCALES}")
        outputs, blocks, block = self.initializers[integers].dims
        return self.node(
            "MatMulNBits",
            x,
            integers,
            scales,
            "",  # zero points: 128, the default
            "",  # no reordering of the columns
            self.weight(f"{prefix}.bias"),
            domain=MICROSOFT,
            K=blocks * block,
            N=outputs,
            bits=8,
            block_size=BLOCK,
            accuracy_level=INT8_ACCURACY,
        )

    def rows(self, name: str, ids: str) -> str:
        """Add the rows with these ids of a table in 8 bits, each row with its scale."""
        integers = self.node("Gather", self.weight(f"{name}{INTEGERS}"), ids)
        scales = self.node("Gather", self.weight(f"{name}{SCALES}"), ids)
        return self.node("Mul", self.node("Cast", integers, to=TensorProto.FLOAT), scales)

    def table(self, name: str, values: npt.NDArray[np.int64]) -> str:
        """Add a constant table of integers."""
        self.initializers[name] = numpy_helper.from_array(values, name)
        return name


def bucket(distance: int) -> int:
    """Return the bucket of a key's position minus a query's: exact if near, else logarithmic (Raffel et al. 2020)."""
    behind = BUCKETS // 2 if distance > 0 else 0
    away = abs(distance)
    if away < EXACT:
        return behind + away
    share = math.log(away / EXACT) / math.log(FURTHEST / EXACT)
    # Rounded, since a power of two must not fall below the bucket that begins with it.
    return behind + min(EXACT + math.floor(round(share * EXACT, 6)), BUCKETS // 2 - 1)


def add_embeddings(b: QuantisedGraphBuilder, length: str) -> str:
    """Add the word and position vectors of `input_ids` (B, S), normalised: (B·S, hidden)."""
    words = b.rows("embeddings.word_embeddings.weight", "input_ids")
    end = b.node("Add", length, b.integers(FIRST_POSITION))
    positions = b.weight("embeddings.position_embeddings.weight")
    positions = b.node("Slice", positions, b.integers(FIRST_POSITION), end, b.integers(0))
    normed = b.norm(b.node("Add", words, positions), "embeddings", CONFIG["layer_norm_eps"])
    return b.node("Reshape", normed, b.integers(-1, int(CONFIG["hidden_size"])))


def add_position_bias(b: QuantisedGraphBuilder, length: str) -> str:
    """Add what the distance of two tokens adds to their score in every layer: (1, heads, S, S)."""
    furthest = MPNET.max_tokens - 1
    buckets = np.array([bucket(distance) for distance in range(-furthest, furthest + 1)], np.int64)
    by_distance = b.node("Gather", b.weight("encoder.relative_attention_bias.weight"), b.table("buckets", buckets))
    by_distance = b.node("Transpose", by_distance, perm=[1, 0])  # (heads, distances)
    places = b.table("places", np.arange(MPNET.max_tokens, dtype=np.int64))
    places = b.node("Slice", places, b.integers(0), length, b.integers(0))
    keys, queries = b.node("Unsqueeze", places, b.integers(0)), b.node("Unsqueeze", places, b.integers(1))
    distances = b.node("Add", b.node("Sub", keys, queries), b.integers(furthest))
    return b.node("Unsqueeze", b.node("Gather", by_distance, distances, axis=1), b.integers(0))


def build(model_dir: Path) -> onnx.ModelProto:
    """Return the model: inputs `input_ids` and `attention_mask` (B, S) int64, output `embedding` (B, 768) float32.

    S is at most `MPNET.max_tokens`.
    """
    config: dict[str, Any] = dict(CONFIG)
    b = QuantisedGraphBuilder(model_dir / "model.safetensors")
    shape = b.node("Shape", "input_ids")
    length = b.node("Slice", shape, b.integers(1), b.integers(2))
    mask, mask_bias = add_mask(b)
    bias = b.node("Add", add_position_bias(b, length), mask_bias)
    x = add_embeddings(b, length)
    for layer in range(config["num_hidden_layers"]):
        x = add_layer(b, config, x, layer, shape, bias, NAMES)
    add_pooling(b, config, x, shape, mask)
    return finished(b, "mpnet_base_v2", config, domains=("", MICROSOFT))


def main() -> int:
    """Write or check the graph; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the ONNX graph of the larger local embedding model.")
    parser.add_argument("--model-dir", type=Path, help="folder of model.safetensors")
    parser.add_argument("--output", type=Path, default=MPNET.graph)
    parser.add_argument("--check", action="store_true", help="only compare with the existing graph")
    arguments = parser.parse_args()
    model_dir = arguments.model_dir or MPNET.folder()
    verify_model(model_dir, MPNET)
    return write_or_check(build(model_dir), arguments.output, check=arguments.check)


if __name__ == "__main__":
    sys.exit(main())
