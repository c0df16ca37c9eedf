"""all-mpnet-base-v2 on the CPU. Needs its files, which `make test-slow` sets up."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from mh_common.embeddings import EmbeddingSettings, OpenAISettings, make_embedder
from mh_common.embeddings.local import LocalEmbedder, verify_model
from mh_common.embeddings.local_models import MPNET
from mh_common.embeddings.protocol import EmbedderError, TextUse

# First components of the vector from sentence-transformers with the published model, in 32 bits.
REFERENCE_TEXT = "This is an example sentence"
REFERENCE = [0.0225026, -0.0782918, -0.0230307, -0.0051001, -0.0803404, 0.0391322, 0.0113429, 0.0034648]
LONG = "I feel sad because nobody at work talks to me. " * 60


def missing() -> str | None:
    try:
        verify_model(MPNET.folder(), MPNET)
    except EmbedderError as error:
        return str(error)
    return None


pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def embedder() -> Iterator[LocalEmbedder]:
    embedder = LocalEmbedder(MPNET)
    yield embedder
    asyncio.run(embedder.close())


def embed(embedder: LocalEmbedder, *texts: str, use: TextUse = TextUse.PASSAGE) -> npt.NDArray[np.float64]:
    return np.array(asyncio.run(embedder.embed(texts, use)))


def test_vectors_are_nearly_those_of_the_published_model(embedder: LocalEmbedder) -> None:
    (vector,) = embed(embedder, REFERENCE_TEXT)
    # In 8 bits, the cosine to the published vector is 0.9998 on average.
    assert vector[:8].tolist() == pytest.approx(REFERENCE, abs=2e-3)
    assert vector.shape == (embedder.dimension,) == (768,)
    assert embedder.model == "all-mpnet-base-v2"


def test_a_text_has_the_same_vector_alone_and_in_a_batch(embedder: LocalEmbedder) -> None:
    texts = ["", "I feel sad", "naïve 😀 日本語", LONG, "a\ud800", "word " * 100]
    together = embed(embedder, *texts)
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    for text, vector in zip(texts, together, strict=True):
        assert embed(embedder, text)[0] @ vector >= 0.9999


def test_of_a_long_query_beginning_and_end_are_read_and_of_a_passage_its_beginning(embedder: LocalEmbedder) -> None:
    long = f"Nobody at work talks to me. {LONG} How do I make friends?"
    [query] = embedder._tokenize([long], TextUse.QUERY)
    [passage] = embedder._tokenize([long], TextUse.PASSAGE)
    assert (len(query), len(passage)) == (MPNET.query_tokens, MPNET.max_tokens)
    text = embedder._tokenizer.decode(query)
    assert text.startswith("nobody at work talks to me.")
    assert text.endswith("how do i make friends?")
    # Whole up to the limit.
    short = "I feel sad. " * 5
    assert embedder._tokenize([short], TextUse.QUERY) == embedder._tokenize([short], TextUse.PASSAGE)


async def test_the_setting_selects_it(tmp_path: Path) -> None:
    folder = tmp_path / MPNET.name
    folder.mkdir()
    for name in MPNET.sha256:
        os.link(MPNET.folder() / name, folder / name)
    settings = EmbeddingSettings(model=MPNET.name, model_dir=tmp_path)
    # A key for answers does not send the texts of this model to OpenAI.
    embedder = make_embedder(settings, OpenAISettings(api_key="key"))
    assert (embedder.model, embedder.dimension) == (MPNET.name, 768)
    ((first, *_),) = await embedder.embed([REFERENCE_TEXT])
    assert first == pytest.approx(REFERENCE[0], abs=2e-3)
    await embedder.close()
