"""Trains the weights by which the kinds of sentences are told with an embedding model, and measures them:

.venv/bin/python -m mh_devtools.passages.train_kinds

Every fifth sentence is measured by weights that were trained without it; the weights that are written are trained with
all.

Sentences of real answers are different from those that were written for this: longer, and of several kinds at once. Who
has a data set labels some hundred of its sentences in the same form, and names the file with --also; each of them
counts as much as three of ours.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from mh_common.embeddings import make_embedder
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from rag_api.passages import kinds
from rag_api.passages.kinds import Kind, Vectors, probabilities

from mh_devtools.paths import ROOT

SENTENCES: Final = Path(__file__).with_name("sentences.jsonl")
WEIGHTS: Final = ROOT / "services/rag-api/src/rag_api/passages" / kinds.FOLDER
WORTH: Final = [list(Kind).index(kind) for kind in (Kind.ADVICE, Kind.EXPLANATION)]
FOLDS: Final = 5
OTHERS_COUNT: Final = 3
STEPS: Final = 400
STEP: Final = 0.15
PULL: Final = 0.5
"""How strongly the weights are pulled towards 0: half of this times their squares is added to the loss."""

Numbers = npt.NDArray[np.int_]


def main() -> None:
    """Measure by cross-validation, train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a local embedding model; all-MiniLM-L6-v2 unless given")
    parser.add_argument("--also", type=Path, help="other labelled sentences, in a file like ours")
    arguments = parser.parse_args()
    model, vectors, truth = asyncio.run(read(SENTENCES, arguments.model))
    print("ours, cross-validated:", cross_validated(vectors, truth))
    if arguments.also:
        _, others, their_truth = asyncio.run(read(arguments.also, arguments.model))
        print(f"{arguments.also.name}, by ours alone:", report(their_truth, guess(others, train(vectors, truth))))
        print(f"{arguments.also.name}, cross-validated:", cross_validated(others, their_truth, (vectors, truth)))
        vectors, truth = joined(vectors, truth, others, their_truth)
    weights = train(vectors, truth)
    lines = ("\t".join(f"{value:.3f}" for value in row) + "\n" for row in weights)
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / f"{model}.tsv").write_text("".join(lines), encoding="utf-8")


def cross_validated(vectors: Vectors, truth: Numbers, ours: tuple[Vectors, Numbers] | None = None) -> str:
    """Report on sentences by weights that were trained with ours, if given, and all of them but a fifth at a time."""
    guessed = np.zeros(len(truth), int)
    for fold in range(FOLDS):
        held = np.arange(len(truth)) % FOLDS == fold
        rest = vectors[~held], truth[~held]
        guessed[held] = guess(vectors[held], train(*(joined(*ours, *rest) if ours else rest)))
    return report(truth, guessed)


def joined(vectors: Vectors, truth: Numbers, others: Vectors, their_truth: Numbers) -> tuple[Vectors, Numbers]:
    """Return both together, each of the others as often as it counts."""
    return np.vstack([vectors] + [others] * OTHERS_COUNT), np.concatenate([truth] + [their_truth] * OTHERS_COUNT)


def guess(vectors: Vectors, weights: Vectors) -> Numbers:
    """Return the number of the most likely kind of each sentence."""
    return np.asarray(probabilities(vectors, weights).argmax(1))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the sentences of a file, with their kinds."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def read(path: Path, name: str | None) -> tuple[str, Vectors, Numbers]:
    """Return the embedding model, and the vector and the number of the kind of each sentence of a file."""
    rows = read_rows(path)
    embedder = make_embedder(EmbeddingSettings(provider="local", model=name), OpenAISettings())
    try:
        vectors = await embedder.embed([row["text"] for row in rows])
    finally:
        await embedder.close()
    truth = [list(Kind).index(Kind(row["kind"])) for row in rows]
    return embedder.model, np.array(vectors, np.float32), np.array(truth)


def train(vectors: Vectors, truth: Numbers) -> Vectors:
    """Return weights as `probabilities` takes them, by Adam (Kingma and Ba, 2015)."""
    x = np.hstack([vectors, np.ones((len(vectors), 1), np.float32)])
    y = np.eye(len(Kind), dtype=np.float32)[truth]
    weights = np.zeros((x.shape[1], len(Kind)), np.float32)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        gradient = x.T @ (probabilities(vectors, weights) - y) + PULL * weights
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        weights -= STEP * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights


def report(truth: Numbers, guessed: Numbers) -> str:
    """Return how many are right, and how well what is worth reading is told from the rest."""
    is_worth, seems_worth = np.isin(truth, WORTH), np.isin(guessed, WORTH)
    return (
        f"{np.mean(guessed == truth):.3f} of {len(truth)} right; advice and explanation against the rest: "
        f"precision {np.mean(is_worth[seems_worth]):.3f}, recall {np.mean(seems_worth[is_worth]):.3f}"
    )


if __name__ == "__main__":
    main()
