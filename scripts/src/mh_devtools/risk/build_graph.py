"""Builds the ONNX graph that `mh_common.risk_classifier` runs, from what `mh_devtools.risk.train` has learned.

The graph refers to the weights of all-MiniLM-L6-v2 in `model.safetensors` and holds, as 16-bit numbers, the adapters
and what decides about a sentence.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from mh_common.risk_classifier.classifier import CATEGORIES
from onnx import TensorProto, helper, numpy_helper

from mh_devtools.search.build_minilm_graph import IR_VERSION, OPSET, GraphBuilder, add_encoder

OUTPUTS = 2 + len(CATEGORIES)
"""Of each sentence: danger, whether it is pressing, and each category; each as a logit."""

Weights = Mapping[str, npt.NDArray[np.float32]]


class AdaptedGraphBuilder(GraphBuilder):
    """Adds to each layer's projections the adapters that there are for them.

    Args:
        weights: file of the model's own weights.
        learned: `NAME.down` (rank, inputs) and `NAME.up` (outputs, rank) for each adapted projection of the model.
    """

    def __init__(self, weights: Path, learned: Weights) -> None:
        super().__init__(weights)
        self._learned = learned

    def linear(self, x: str, prefix: str) -> str:
        """Add x · weightᵀ + bias + x · downᵀ · upᵀ, for x of shape (rows, width)."""
        projected = super().linear(x, prefix)
        if f"{prefix}.down" not in self._learned:
            return projected
        inner = self.node("MatMul", x, self.small(f"{prefix}.down"))
        return self.node("Add", projected, self.node("MatMul", inner, self.small(f"{prefix}.up")))

    def small(self, name: str) -> str:
        """Add what was learned under this name, transposed, as float32 that is stored in 16 bits."""
        stored = f"{name}.half"
        values = np.ascontiguousarray(self._learned[name].T.astype(np.float16))
        self.initializers[stored] = numpy_helper.from_array(values, stored)
        return self.node("Cast", stored, to=TensorProto.FLOAT)


def build(model_dir: Path, learned: Weights) -> onnx.ModelProto:
    """Return the model.

    Inputs: `input_ids` and `attention_mask` (B, S) int64, and `shares` (B, N, S) float32, in which row n has the shares
    of the tokens of sentence n, summing to 1. Output: `scores` (B, N, 9) float32, see `OUTPUTS`.
    """
    config = json.loads((model_dir / "config.json").read_text())
    b = AdaptedGraphBuilder(model_dir / "model.safetensors", learned)
    x, shape, _ = add_encoder(b, config)
    x = b.node("Reshape", x, b.node("Concat", shape, b.integers(config["hidden_size"]), axis=0))
    sentences = b.node("MatMul", "shares", x)
    scores = b.node("MatMul", sentences, b.small("decision.weight"))
    b.node("Add", scores, b.small("decision.bias"), output="scores")
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["B", "S"]) for n in ("input_ids", "attention_mask")]
    inputs.append(helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["B", "N", "S"]))
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", "N", OUTPUTS])
    graph = helper.make_graph(b.nodes, "minilm_risk", inputs, [output], list(b.initializers.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
