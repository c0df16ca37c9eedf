"""Fits the weights of passages to ratings, and says how well they tell what is usable:

.venv/bin/python -m mh_devtools.passages.fit_weights

Each line of a file is a passage that was shown to a rater: its `features` for the `question`, as
`mh_devtools.passages.candidates` writes them, and whether it is `usable`, 0 or 1: relevant, understandable by itself,
helpful, free of another person's facts, and safe. A logistic regression predicts that; the first figures are of folds
of questions that it was not fitted to.

`ratings.jsonl` has the ratings for all-MiniLM-L6-v2, of 361 passages of a public data set, without their texts.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rag_api.passages.ranking import Features

RATINGS: Final = Path(__file__).with_name("ratings.jsonl")
FOLDS: Final = 5
PULL: Final = 10.0
"""How strongly the weights of the standardised features are pulled towards 0."""

Array = npt.NDArray[np.float64]


def main() -> None:
    """Fit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[RATINGS])
    arguments = parser.parse_args()
    rows = [json.loads(line) for file in arguments.files for line in file.read_text("utf-8").splitlines()]
    found = np.array([[row["features"][name] for name in Features._fields] for row in rows])
    usable = np.array([row["usable"] for row in rows], float)
    folds = fold_of([row["question"] for row in rows])
    expected = np.zeros(len(rows))
    for fold in range(FOLDS):
        weights, offset = fit(found[folds != fold], usable[folds != fold])
        expected[folds == fold] = probability(found[folds == fold], weights, offset)
    print(f"{len(rows)} passages for {len({row['question'] for row in rows})} questions, {usable.mean():.2f} usable")
    for floor in (0.2, 0.3, 0.4, 0.5, 0.6):
        shown = expected >= floor
        right = usable[shown].mean() if shown.any() else float("nan")
        found_of_usable = usable[shown].sum() / usable.sum()
        print(f"from {floor:.1f} on: {shown.sum()}, {right:.2f} of them usable, {found_of_usable:.2f} of all usable")
    weights, offset = fit(found, usable)
    print(
        ", ".join(f"{name}={value:.2f}" for name, value in zip(Features._fields, weights, strict=True)),
        f"offset={offset:.2f}",
    )


def fold_of(questions: Sequence[str | int]) -> npt.NDArray[np.int_]:
    """Return a fold for each question; all passages of a question are in the same one."""
    numbers = {question: number for number, question in enumerate(sorted(set(questions)))}
    return np.array([numbers[question] % FOLDS for question in questions])


def fit(found: Array, usable: Array) -> tuple[Array, float]:
    """Return weights and offset of a logistic regression, by Newton's method."""
    mean, spread = found.mean(0), np.maximum(found.std(0), 1e-9)
    x = np.hstack([(found - mean) / spread, np.ones((len(found), 1))])
    pull = PULL * np.diag([1.0] * found.shape[1] + [0.0])
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        fitted = 1 / (1 + np.exp(-(x @ beta)))
        gradient = x.T @ (usable - fitted) - pull @ beta
        beta += np.linalg.solve((x.T * (fitted * (1 - fitted))) @ x + pull + 1e-9 * np.eye(len(beta)), gradient)
    weights = beta[:-1] / spread
    return weights, float(beta[-1] - weights @ mean)


def probability(found: Array, weights: Array, offset: float) -> Array:
    """Return the probability of being usable."""
    return np.asarray(1 / (1 + np.exp(-(found @ weights + offset))))


if __name__ == "__main__":
    main()
