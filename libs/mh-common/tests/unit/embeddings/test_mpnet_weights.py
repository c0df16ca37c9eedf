import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from mh_common.embeddings import mpnet_weights
from mh_common.embeddings.mpnet_weights import converted, quantised, read_tensors, write_tensors

Vectors = npt.NDArray[np.float32]
LAYER = "encoder.layer.0.attention.attn.q.weight"


@pytest.fixture
def tensors() -> dict[str, Vectors]:
    """Of the model's names and numbers of dimensions, and small. Exactly the same on every machine."""
    numbers = ((np.arange(64 * 96) * 7919 % 8191 - 4095) / 4096).astype(np.float32)
    return {
        LAYER: numbers.reshape(64, 96),
        "encoder.layer.0.attention.attn.q.bias": numbers[:64],
        "encoder.relative_attention_bias.weight": numbers[:64].reshape(32, 2),
        mpnet_weights.WORDS: numbers.reshape(96, 64),
        "pooler.dense.weight": numbers[:64].reshape(8, 8),
    }


def test_each_block_is_kept_to_half_a_step(tensors: dict[str, Vectors]) -> None:
    weights = tensors[LAYER].reshape(64, 3, 32)
    integers, scales = quantised(weights)
    assert np.abs(integers).max(axis=-1).tolist() == [[127] * 3] * 64
    assert (np.abs(integers * scales - weights) <= scales * 0.500001).all()


def test_weights_of_zero_stay_zero() -> None:
    integers, scales = quantised(np.zeros((2, 32), np.float32))
    assert not integers.any()
    assert not scales.any()


def test_only_what_multiplies_is_in_8_bits_and_what_is_not_used_is_left_out(
    tensors: dict[str, Vectors], tmp_path: Path
) -> None:
    write_tensors(tmp_path / "model.safetensors", tensors)
    found = {
        name: (str(tensor.dtype), tensor.shape)
        for name, tensor in converted(read_tensors(tmp_path / "model.safetensors"))
    }
    assert found == {
        mpnet_weights.WORDS + ".integers": ("int8", (96, 64)),
        mpnet_weights.WORDS + ".scales": ("float32", (96, 1)),
        LAYER + ".integers": ("uint8", (64, 3, 32)),
        LAYER + ".scales": ("float32", (64, 3)),
        "encoder.layer.0.attention.attn.q.bias": ("float32", (64,)),
        "encoder.relative_attention_bias.weight": ("float32", (32, 2)),
    }


def test_the_bytes_are_the_same_everywhere(tensors: dict[str, Vectors], tmp_path: Path) -> None:
    """Another hash here means that the whole model would have another one as well."""
    write_tensors(tmp_path / "made", dict(converted(sorted(tensors.items()))))
    assert hashlib.sha256((tmp_path / "made").read_bytes()).hexdigest() == (
        "c3e45ad7d0ed0be0f8af63daf6841aca6180c1c08d0ff2f7cfc6ff0897a02b9c"
    )
