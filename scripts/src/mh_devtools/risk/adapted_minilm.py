"""all-MiniLM-L6-v2 in torch, with low-rank adapters that can be trained (Hu et al. 2021, "LoRA").

Each projection of the model's layers gets `NAME.down` (rank, inputs) and `NAME.up` (outputs, rank), which begins at
zero; `decision.weight` and `decision.bias` make the scores of a sentence from the mean of its tokens.
"""

import json
import math
from pathlib import Path
from typing import Any, Final

import torch
from mh_common.embeddings.local import verify_model
from safetensors.torch import load_file
from torch.nn import functional

from mh_devtools.risk.build_graph import OUTPUTS

DROPOUT: Final = 0.1
SCALE: Final = 2.0
"""Of what an adapter adds, which makes it learn faster than the decision."""

_PROJECTIONS: Final = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class AdaptedMiniLM:
    """The model with its adapters.

    Attributes:
        learned: the tensors to train, by name.
    """

    def __init__(self, model_dir: Path, rank: int) -> None:
        verify_model(model_dir)
        self._config = json.loads((model_dir / "config.json").read_text())
        self._weights = load_file(model_dir / "model.safetensors")
        self.learned: dict[str, Any] = {}
        for layer in range(self._config["num_hidden_layers"]):
            for projection in _PROJECTIONS:
                name = f"encoder.layer.{layer}.{projection}"
                outputs, width = self._weights[f"{name}.weight"].shape
                self._learn(f"{name}.down", torch.randn(rank, width) / math.sqrt(width))
                self._learn(f"{name}.up", torch.zeros(outputs, rank))
        width = self._config["hidden_size"]
        self._learn("decision.weight", torch.randn(OUTPUTS, width) / math.sqrt(width))
        self._learn("decision.bias", torch.zeros(OUTPUTS))

    def scores(self, ids: Any, mask: Any, shares: Any, *, is_training: bool = False) -> Any:
        """Return the scores of each sentence.

        Args:
            ids: token ids, (B, S).
            mask: 1 for each token, 0 for padding, (B, S).
            shares: share of each token in each sentence, (B, N, S).
            is_training: whether to leave out a part of the numbers at random.
        """
        dropout = DROPOUT if is_training else 0.0
        x = self._embeddings(ids, dropout)
        hidden = ((1 - mask) * -1e9)[:, None, None, :]
        for layer in range(self._config["num_hidden_layers"]):
            x = self._layer(x, f"encoder.layer.{layer}", hidden, dropout)
        sentences = functional.dropout(torch.bmm(shares, x), dropout)
        return functional.linear(sentences, self.learned["decision.weight"], self.learned["decision.bias"])

    def finished(self) -> dict[str, Any]:
        """Return what was learned as arrays, the scale applied."""
        return {
            name: (tensor * SCALE if name.endswith(".up") else tensor).detach().numpy()
            for name, tensor in self.learned.items()
        }

    def _learn(self, name: str, start: Any) -> None:
        self.learned[name] = start.requires_grad_()

    def _embeddings(self, ids: Any, dropout: float) -> Any:
        weights = self._weights
        words = weights["embeddings.word_embeddings.weight"][ids]
        places = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        total = words + places + weights["embeddings.token_type_embeddings.weight"][0]
        return functional.dropout(self._norm(total, "embeddings"), dropout)

    def _layer(self, x: Any, name: str, hidden: Any, dropout: float) -> Any:
        size = x.shape
        heads = self._config["num_attention_heads"]

        def head(projection: str) -> Any:
            projected = self._project(x, f"{name}.attention.self.{projection}")
            return projected.view(size[0], size[1], heads, -1).transpose(1, 2)

        attended = functional.scaled_dot_product_attention(head("query"), head("key"), head("value"), attn_mask=hidden)
        attended = self._project(attended.transpose(1, 2).reshape(size), f"{name}.attention.output.dense")
        x = self._norm(x + functional.dropout(attended, dropout), f"{name}.attention.output")
        inner = functional.gelu(self._project(x, f"{name}.intermediate.dense"))
        outer = functional.dropout(self._project(inner, f"{name}.output.dense"), dropout)
        return self._norm(x + outer, f"{name}.output")

    def _project(self, x: Any, name: str) -> Any:
        adapted = functional.linear(functional.linear(x, self.learned[f"{name}.down"]), self.learned[f"{name}.up"])
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]) + SCALE * adapted

    def _norm(self, x: Any, name: str) -> Any:
        weight, bias = self._weights[f"{name}.LayerNorm.weight"], self._weights[f"{name}.LayerNorm.bias"]
        return functional.layer_norm(x, (x.shape[-1],), weight, bias, self._config["layer_norm_eps"])
