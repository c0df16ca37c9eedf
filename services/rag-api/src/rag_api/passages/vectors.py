"""Vectors of a question and of sentences."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from mh_common.embeddings import Embedder, TextUse, TextWithheldError

from rag_api.passages.kinds import Vectors

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True)
class Embedded:
    """Vectors that can be compared with each other.

    Attributes:
        model: the embedding model; empty if they are made of words.
        asked: the vector of the question.
        sentences: the vector of each sentence.
    """

    model: str
    asked: Vectors
    sentences: Mapping[str, Vectors]


async def embed(embedder: Embedder, question: str, sentences: Sequence[str]) -> Embedded:
    """Return the vectors of a question and of sentences.

    If the embedder's server must not get the texts, texts that share words have similar vectors.

    Raises:
        EmbedderError: the texts cannot be embedded.
    """
    sentences = list(dict.fromkeys(sentences))
    try:
        [asked] = await embedder.embed([question], TextUse.QUERY)
        found = [np.array(vector, np.float32) for vector in await embedder.embed(sentences)]
    except TextWithheldError:
        by_words = _word_vectors([question, *sentences])
        return Embedded("", by_words[0], dict(zip(sentences, by_words[1:], strict=True)))
    return Embedded(embedder.model, np.array(asked, np.float32), dict(zip(sentences, found, strict=True)))


def _word_vectors(texts: Sequence[str]) -> list[Vectors]:
    """Return a vector for each text, of unit length, in which texts that share long words are similar."""
    words = [_long_words(text) for text in texts]
    places = {word: place for place, word in enumerate(sorted(frozenset[str]().union(*words)))}
    vectors = np.zeros((len(texts), len(places) + 1), np.float32)
    for vector, own in zip(vectors, words, strict=True):
        vector[[places[word] for word in own]] = len(own) ** -0.5 if own else 0
    return list(vectors)


def _long_words(text: str) -> set[str]:
    """Return words of at least four letters; shorter ones hardly distinguish sentences."""
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= 4}
