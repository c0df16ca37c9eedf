"""Fits how evidence becomes a score, and measures how far the scores are from the truth.

    .venv/bin/python -m mh_devtools.search.calibrate

starts a private platform with the sample and the embedding model of the environment, asks the sample's labelled queries
and its queries off topic in every mode, and prints the calibration of each, the figures of docs/evaluation.md, and the
settings for a model of your own. Queries about other conversations are added by

    .venv/bin/python -m mh_devtools.search.calibrate --data conversations.csv labelled.jsonl more.jsonl

(JSON Lines, with `relevant_question` or `relevant_questions`). Hits with other questions count as irrelevant, so name
all relevant ones, or scores will be too low. `--figure docs/figures/scores` draws the reliability diagram. `--url` asks
a running platform, which must have the sample, instead.

Errors are those of scores by a calibration that was fitted to other queries. The threshold is the least relevance that
accepts no more of the queries off topic than `--accepted`, on any of the data, unless it rejects more than `--rejected`
of the labelled queries of a file. Half of the harder queries off topic are held out: neither fit nor threshold sees
them.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from mh_client import Client, GroupBy, MHError, SearchMode
from rag_api.search.calibration import RIVALS, Calibration

from mh_devtools import servers
from mh_devtools.paths import SAMPLE
from mh_devtools.search import relevance
from mh_devtools.search.calibration import (
    SHOWN,
    Array,
    Asked,
    Kind,
    Reliability,
    fit,
    held_out_scores,
    threshold,
    wilson,
)
from mh_devtools.search.evaluate import private_platform
from mh_devtools.search.reliability_plot import draw

LABELLED: Final = tuple(SAMPLE / name for name in relevance.ON_TOPIC)
OFF_TOPIC: Final = tuple(SAMPLE / name for name in relevance.OFF_TOPIC)
ACCEPTED: Final = (0.05, 0.2)
"""The share of either file's queries that the threshold may accept, unless given."""
REJECTED: Final = 0.1
"""The share of a file's labelled queries that it may reject, unless given."""


def rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ask(client: Client, row: Mapping[str, Any], mode: SearchMode, data: str, file: Path) -> Asked:
    """Search for a query without parsing filters from it. Raises MHError."""
    hits = client.search(
        row["query"], mode=mode, group_by=GroupBy.QUESTION, plain_query=True, explain=True, limit=RIVALS
    ).hits
    wanted = {question.strip() for question in row.get("relevant_questions") or [row.get("relevant_question", "")]}
    return Asked(
        data,
        file.stem,
        Kind.OFF_TOPIC if file in OFF_TOPIC else Kind.LABELLED,
        np.array([hit.explanation.evidence for hit in hits if hit.explanation]),
        np.array([hit.question.strip() in wanted for hit in hits], float),
        row.get("part") == "heldout",
    )


def collect(client: Client, data: str, files: Sequence[Path]) -> dict[SearchMode, list[Asked]]:
    """Ask the queries of the files, and those off topic, in every mode. Raises MHError, OSError and ValueError."""
    asked = [(row, file) for file in (*files, *OFF_TOPIC) for row in rows(file)]
    return {mode: [ask(client, row, mode, data, file) for row, file in asked] for mode in SearchMode}


def collect_all(url: str | None, others: Sequence[Sequence[str]]) -> tuple[str, dict[SearchMode, list[Asked]]]:
    """Return the embedding model and what was asked, of the sample and of other conversations with their queries.

    Raises MHError, ServerError, OSError and ValueError.
    """
    model, found = "", {mode: list[Asked]() for mode in SearchMode}
    for conversations, *files in [[str(SAMPLE / "conversations.csv"), *map(str, LABELLED)], *others]:
        with ExitStack() as cleanup:
            os.environ["MH_DATASET"] = conversations
            here = url or private_platform(cleanup)
            with Client(here, timeout=60) as client:
                model = client.about().embedding.name
                print(f"asking {Path(conversations).name}", file=sys.stderr)
                for mode, asked in collect(client, Path(conversations).stem, [Path(file) for file in files]).items():
                    found[mode] += asked
    return model, found


def calibrate(queries: Sequence[Asked], accepted: Sequence[float], rejected: float) -> Calibration:
    """Return the calibration of a mode, rounded, with its threshold."""
    fitted = fit(queries)
    rounded = Calibration(round(fitted.slope, 1), round(fitted.offset, 1))
    limits = {file.stem: share for file, share in zip(OFF_TOPIC, accepted, strict=True)}
    return replace(rounded, threshold=threshold(queries, rounded, limits, rejected))


def reliability(queries: Sequence[Asked], scored: Sequence[Array], depth: int, file: str | None = None) -> Reliability:
    """Return that of the best hits, as many as `depth`, of the labelled queries of one file or of all."""
    pairs = [
        (scores[:depth], one.relevant[:depth])
        for one, scores in zip(queries, scored, strict=True)
        if one.kind is Kind.LABELLED and file in (None, one.file)
    ]
    return Reliability([scores for scores, _ in pairs], [relevant for _, relevant in pairs])


def error_rows(mode: SearchMode, queries: Sequence[Asked], scored: Sequence[Array]) -> Iterator[str]:
    """Yield the rows of the table of errors: of the hits shown and of the best hits."""
    files = dict.fromkeys(one.file for one in queries if one.kind is Kind.LABELLED)
    for file in (None, *files):
        count = sum(one.kind is Kind.LABELLED and file in (None, one.file) for one in queries)
        cells = []
        for depth in (SHOWN, 1):
            measured = reliability(queries, scored, depth, file)
            low, high = measured.error_interval()
            cells.append(f"{measured.error():.3f} ({low:.3f} to {high:.3f})")
        best = reliability(queries, scored, 1, file)
        yield f"| {mode} | {file or 'all'} | {count} | {' | '.join(cells)} | {best.score:.2f} | {best.share:.2f} |"


def relevance_rows(mode: SearchMode, queries: Sequence[Asked], found: Calibration) -> Iterator[str]:
    """Yield the rows of the table of the threshold: the queries of each file that it accepts and rejects wrongly."""
    if found.threshold is None:
        return
    for data, file, held_out in dict.fromkeys((one.data, one.file, one.held_out) for one in queries):
        some = [one for one in queries if (one.data, one.file, one.held_out) == (data, file, held_out)]
        off_topic = some[0].kind is Kind.OFF_TOPIC
        wrong = sum((found.relevance(one.best) >= found.threshold) == off_topic for one in some)
        low, high = wilson(wrong, len(some))
        name = f"{file}, held out" if held_out else file
        kind = "false accept" if off_topic else "false reject"
        yield f"| {mode} | {data} | {name} | {len(some)} | {kind} | {wrong / len(some):.3f} ({low:.3f} to {high:.3f}) |"


def main() -> None:
    """Ask, fit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", action="append", default=[], metavar="FILE", help="see above")
    parser.add_argument("--url", help="a running platform with the sample; not with --data")
    parser.add_argument("--accepted", nargs=2, type=float, default=ACCEPTED, metavar="SHARE")
    parser.add_argument("--rejected", type=float, default=REJECTED, metavar="SHARE")
    parser.add_argument("--figure", type=Path, help="draw the reliability diagram to FIGURE.png and FIGURE.svg")
    arguments = parser.parse_args()
    if arguments.url and arguments.data:
        parser.error("a running platform has one set of conversations: --url cannot be combined with --data")
    try:
        model, found = collect_all(arguments.url, arguments.data)
    except (MHError, servers.ServerError, OSError, ValueError) as error:
        sys.exit(f"{error}")
    fitted = {mode: calibrate(queries, arguments.accepted, arguments.rejected) for mode, queries in found.items()}
    scored = {mode: held_out_scores(queries) for mode, queries in found.items()}
    print(f"Embedding model: {model}\n")
    print("| mode | queries | number | error of hits shown (95 % interval) | error of best hits | score | relevant |")
    print("|---|---|---|---|---|---|---|")
    for mode, queries in found.items():
        print(*error_rows(mode, queries, scored[mode]), sep="\n")
    print("\n| mode | conversations | queries | number | | share (95 % interval) |\n|---|---|---|---|---|---|")
    for mode, queries in found.items():
        for line in relevance_rows(mode, queries, fitted[mode]):
            print(line)
    print()
    for mode, one in fitted.items():
        print(f"{mode}: Calibration(slope={one.slope}, offset={one.offset}, threshold={one.threshold})")
    hybrid = fitted[SearchMode.HYBRID]
    print(f"\nSEARCH_SLOPE={hybrid.slope}\nSEARCH_OFFSET={hybrid.offset}")
    print(f"SEARCH_RELEVANCE_THRESHOLD={hybrid.threshold or ''}")
    if arguments.figure:
        panels = {
            f"{mode}, {name}": reliability(queries, scored[mode], depth)
            for name, depth in (("hits shown", SHOWN), ("best hits", 1))
            for mode, queries in found.items()
        }
        print(*draw(arguments.figure, f"Scores of {model}, and how many hits are relevant", panels), sep="\n")


if __name__ == "__main__":
    main()
