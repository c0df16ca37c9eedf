"""Measures the distribution of a running platform's scores, and prints the settings that turn them into likelihoods.

For an embedding model whose scores are unknown: import a data set, then

    .venv/bin/python -m mh_devtools.search.calibrate --url http://127.0.0.1:8080 --queries scripts/sample/queries.jsonl

It searches for each labelled query (JSON Lines with `query` and `relevant_question`) and each off-topic query
(`--off-topic`, with `query`), and reads the evidence of the hits. The curve is a logistic regression of the relevant
questions against the hits at ranks 11 to 30 of the same queries, with equal weight for both sides. The threshold is the
score that the best hit reaches for all but the given share (`--lost`) of the labelled queries.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mh_client import Client, GroupBy, MHError, SearchHit, SearchMode

from mh_devtools.paths import SAMPLE

FURTHER = slice(10, 30)
DEPTH = 100


@dataclass(frozen=True)
class QueryResult:
    """The evidence of a query's hits, best first, and the position of the relevant question among them, if found."""

    evidence: list[float]
    place: int | None


def ask(client: Client, query: str, relevant: str | None, mode: SearchMode) -> QueryResult:
    """Search for a query without parsing filters from it."""
    found = client.search(query, mode=mode, group_by=GroupBy.QUESTION, plain_query=True, explain=True, limit=DEPTH).hits
    places = [place for place, hit in enumerate(found) if hit.question.strip() == (relevant or "").strip()]
    return QueryResult([_evidence(hit) for hit in found] or [0.0], places[0] if places else None)


def _evidence(hit: SearchHit) -> float:
    if hit.explanation is None:
        raise ValueError("The platform returned hits without explanations")
    return hit.explanation.evidence


def logistic(positive: Sequence[float], negative: Sequence[float]) -> tuple[float, float]:
    """Return slope and offset of the logistic regression of two equally weighted samples, by Newton's method."""
    x = np.array([*positive, *negative])
    y = np.repeat([1.0, 0.0], [len(positive), len(negative)])
    weight = np.repeat([0.5 / len(positive), 0.5 / len(negative)], [len(positive), len(negative)])
    design = np.stack([x, np.ones_like(x)])
    beta = np.zeros(2)
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-(beta @ design)))
        gradient = design @ (weight * (y - fitted))
        # Slight ridge regularisation, so that it also converges for samples that do not overlap.
        hessian = (design * (weight * fitted * (1 - fitted))) @ design.T + 1e-6 * np.eye(2)
        beta += np.linalg.solve(hessian, gradient)
    return float(beta[0]), float(beta[1])


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the area under the ROC curve: how often a positive is above a negative."""
    above = np.array(positive)[:, None] - np.array(negative)[None]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def report(queries: Sequence[QueryResult], off_topic: Sequence[QueryResult], lost: float) -> Iterator[str]:
    """Yield the results line by line; the settings come last."""
    places = [asked.place for asked in queries]
    for k in (1, 3, 10):
        yield f"hit@{k}: {np.mean([place is not None and place < k for place in places]):.3f}"
    gains = [0.0 if place is None or place >= 10 else 1 / math.log2(place + 2) for place in places]
    yield f"nDCG@10: {np.mean(gains):.3f}"
    halves = [np.mean(gains[half::2]) for half in (0, 1)]
    yield f"nDCG@10 of either half: {halves[0]:.3f}, {halves[1]:.3f}"
    best, best_off = [asked.evidence[0] for asked in queries], [asked.evidence[0] for asked in off_topic]
    yield f"ROC AUC of the best hits, queries against off topic: {auc(best, best_off):.4f}"
    sought = [asked.evidence[asked.place] for asked in queries if asked.place is not None]
    further = [evidence for asked in queries for evidence in asked.evidence[FURTHER]]
    if not sought or not further:
        yield "Too few hits were found for a curve."
        return
    slope, offset = logistic(sought, further)
    bound = float(np.quantile(best, lost))
    threshold = 1 / (1 + math.exp(-(slope * bound + offset)))
    passed = np.mean([evidence >= bound for evidence in best_off])
    yield f"threshold at evidence {bound:.3f}: {lost:.0%} of the queries below, {passed:.1%} of those off topic above"
    yield f"SEARCH_SLOPE={slope:.2f}"
    yield f"SEARCH_OFFSET={offset:.2f}"
    yield f"SEARCH_RELEVANCE_THRESHOLD={threshold:.2f}"


def main() -> None:
    """Run all queries and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the platform, with the data set indexed")
    parser.add_argument("--queries", type=Path, default=SAMPLE / "queries.jsonl")
    parser.add_argument("--off-topic", type=Path, default=SAMPLE / "off_topic.jsonl")
    parser.add_argument("--mode", type=SearchMode, choices=list(SearchMode), default=SearchMode.HYBRID)
    parser.add_argument("--lost", type=float, default=0.05, help="share of the queries below the threshold")
    arguments = parser.parse_args()
    try:
        with Client(arguments.url) as client:
            queries, off_topic = (
                [ask(client, row["query"], row.get("relevant_question"), arguments.mode) for row in rows(path)]
                for path in (arguments.queries, arguments.off_topic)
            )
    except (MHError, OSError, ValueError) as error:
        sys.exit(f"{error}")
    for line in report(queries, off_topic, arguments.lost):
        print(line)


def rows(path: Path) -> list[dict[str, str]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
