"""Fits the weights of the evidence to labelled queries, and says whether they are better than the present ones.

On a running platform with the data set that the queries belong to:

    .venv/bin/python -m mh_devtools.search.fit_weights --url http://127.0.0.1:8080

It searches for each query in hybrid mode, reads the parts of each hit from its explanation, and minimises the softmax
loss of the relevant hits (ListNet), pulled towards the present weights. A hundred queries cannot settle six weights, so
it also fits them on four fifths of the queries and measures them on the other fifth. **Change the weights only if that
figure rises** and `make eval` agrees: on the sample it did not, and the present weights were chosen by hand.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from mh_client import Client, MHError, SearchHit
from rag_api.search.ranking import BM25_HALF_SATURATION, CROWDING_WEIGHT, PAIRS_WEIGHT, WORDS_WEIGHT
from rag_api.settings import SearchSettings

from mh_devtools.paths import SAMPLE

PARTS: Final = ("question", "text", "keywords", "words", "pairs", "crowding")
FOLDS: Final = 5
STEPS: Final = 500
STEP: Final = 0.02
SHARPNESS: Final = 12.0
"""How much a difference in evidence counts in the softmax: about the slope of the calibrated curve."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """The parts of a query's hits, an array (hits, parts), and which of the hits are relevant."""

    parts: Array
    relevant: npt.NDArray[np.bool_]


def present_weights() -> Array:
    """Return the weights of `PARTS` that search uses by default."""
    settings = SearchSettings()
    meaning = settings.question_weight, 1 - settings.question_weight
    return np.array([*meaning, settings.keyword_weight, WORDS_WEIGHT, PAIRS_WEIGHT, CROWDING_WEIGHT])


def ask(client: Client, query: str, relevant: Sequence[str]) -> Case:
    """Search for a query and return its hits as a case."""
    hits = client.search(query, explain=True, limit=100).hits
    wanted = {question.strip() for question in relevant}
    parts = np.array([_parts(hit) for hit in hits]).reshape(len(hits), len(PARTS))
    return Case(parts, np.array([hit.question.strip() in wanted for hit in hits], bool))


def _parts(hit: SearchHit) -> list[float]:
    if hit.explanation is None:
        raise ValueError("The platform returned hits without explanations")
    scores = {part.part: part.score for part in hit.explanation.parts}
    scores["keywords"] /= scores["keywords"] + BM25_HALF_SATURATION
    return [scores[name] for name in PARTS]


def fit(cases: Sequence[Case], start: Array, pull: float) -> Array:
    """Return the weights with the least loss over the cases, plus `pull` times their squared distance from `start`."""
    usable = [case for case in cases if case.relevant.any()]
    weights = start.copy()
    for _ in range(STEPS):
        gradient = 2 * pull * (weights - start)
        for case in usable:
            odds = SHARPNESS * (case.parts @ weights)
            shares = np.exp(odds - odds.max())
            shares /= shares.sum()
            wanted = np.where(case.relevant, shares, 0.0)
            gradient += SHARPNESS * (shares - wanted / wanted.sum()) @ case.parts / len(usable)
        weights = weights - STEP * gradient
    return weights


def reciprocal_rank(case: Case, weights: Array) -> float:
    """Return 1 / rank of the first relevant hit, 0 below the tenth."""
    places = np.flatnonzero(case.relevant[np.argsort(-(case.parts @ weights), kind="stable")])
    return 1 / (int(places[0]) + 1) if places.size and places[0] < 10 else 0.0


def cross_validated(cases: Sequence[Case], start: Array, pull: float) -> float:
    """Return the mean reciprocal rank of each case under weights fitted without its fold."""
    ranks = []
    for fold in range(FOLDS):
        weights = fit([case for place, case in enumerate(cases) if place % FOLDS != fold], start, pull)
        ranks += [reciprocal_rank(case, weights) for case in cases[fold::FOLDS]]
    return float(np.mean(ranks))


def main() -> None:
    """Ask, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the platform, with the data set indexed")
    parser.add_argument("--queries", type=Path, default=SAMPLE / "counselor-dev.jsonl")
    arguments = parser.parse_args()
    try:
        rows = [json.loads(line) for line in arguments.queries.read_text(encoding="utf-8").splitlines()]
        with Client(arguments.url) as client:
            cases = [
                ask(client, row["query"], row.get("relevant_questions") or [row["relevant_question"]]) for row in rows
            ]
    except (MHError, OSError, ValueError, KeyError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    start = present_weights()
    print(f"{'':22}MRR@10  " + "  ".join(f"{part:>8}" for part in PARTS))
    present = float(np.mean([reciprocal_rank(case, start) for case in cases]))
    print(_line("present", present, start))
    for pull in (0.3, 1.0, 3.0, 10.0):
        print(_line(f"fitted, pull {pull:g}", cross_validated(cases, start, pull), fit(cases, start, pull)))


def _line(name: str, rank: float, weights: Array) -> str:
    return f"{name:22}{rank:.3f}   " + "  ".join(f"{weight:8.3f}" for weight in weights)


if __name__ == "__main__":
    main()
