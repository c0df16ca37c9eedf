"""Kinds of sentences in counselors' answers: which ones are worth reading for another counselor.

A softmax regression on the sentence's vector. `mh_devtools.passages.train_kinds` trains it for an embedding model with
sentences that were written and labelled for it, and writes its weights to `kinds/MODEL.tsv`.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

FOLDER: Final = "kinds"

Vectors = npt.NDArray[np.float32]


class Kind(StrEnum):
    """What a sentence of an answer is."""

    ADVICE = "advice"
    """Says what to do, try or say."""
    EXPLANATION = "explanation"
    """Explains how feelings, relationships, disorders or methods work, as true of many."""
    PERSON = "person"
    """Is about the life of the person who asked."""
    WRITER = "writer"
    """Is about the counselor who writes."""
    FILLER = "filler"
    """Courtesy, praise, promotion, or advice so general that it helps nobody."""
    QUESTION = "question"
    """Asks the person something."""
    FRAGMENT = "fragment"
    """Cannot be understood without the sentence before it."""


Kinds = Mapping[Kind, float]
"""The probability of each kind."""

UNKNOWN: Final[Kinds] = dict.fromkeys(Kind, 1 / len(Kind))
"""Of a sentence whose embedding model has no weights."""


def kinds_of(vectors: Sequence[Vectors], model: str) -> list[Kinds]:
    """Return the probability of each kind for sentences with these vectors of an embedding model."""
    weights = _weights(model)
    if weights is None or not vectors:
        return [UNKNOWN] * len(vectors)
    shares = probabilities(np.stack(vectors), weights)
    return [dict(zip(Kind, row, strict=True)) for row in shares.tolist()]


def probabilities(vectors: Vectors, weights: Vectors) -> Vectors:
    """Return the probability of each kind, an array (sentences, kinds).

    Args:
        vectors: an array (sentences, dimensions).
        weights: an array (dimensions + 1, kinds); the last row is added to each sentence's scores.
    """
    scores = vectors @ weights[:-1] + weights[-1]
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)


@cache
def _weights(model: str) -> Vectors | None:
    file = files("rag_api.passages").joinpath(FOLDER, f"{model}.tsv")
    if not file.is_file():
        return None
    rows = (line.split("\t") for line in file.read_text("utf-8").splitlines())
    return np.array([[float(value) for value in row] for row in rows], np.float32)
