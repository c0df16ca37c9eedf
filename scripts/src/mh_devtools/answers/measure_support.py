"""Measures how well it is noticed that a source does not support a sentence.

    python -m mh_devtools.answers.measure_support [--wrong] [--sweep] [--model all-mpnet-base-v2]

It judges the labelled sentences of `scripts/sample/support.jsonl`, each about one conversation of the sample, as
answers are checked. Precision is the share of the sentences called unsupported that are, recall the share of the
unsupported ones that are called so. `--sweep` shows other thresholds, on the dev half alone: choose by it, and look at
the held-out half once. Intervals are Wilson's, of 95 %.
"""

import argparse
import asyncio
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mh_common.embeddings import Embedder, EmbeddingSettings, OpenAISettings, make_embedder
from mh_common.settings import EgressSettings, PHISettings
from rag_api.answers import similarity_judge
from rag_api.answers.similarity_judge import SimilarityJudge
from rag_api.answers.support import Claim, Verdict

from mh_devtools.paths import SAMPLE
from mh_devtools.shares import Share

PAIRS = SAMPLE / "support.jsonl"
DEV = "dev"
HELD_OUT = "held-out"


@dataclass(frozen=True)
class Pair:
    """A sentence about a conversation, whether it is supported, and what kind of sentence it is."""

    claim: Claim
    supported: bool
    kind: str
    half: str


def read_pairs() -> list[Pair]:
    """Read the labelled sentences, each with the text of its conversation."""
    with (SAMPLE / "conversations.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for line in PAIRS.read_text("utf-8").splitlines():
        one = json.loads(line)
        [row] = [row for row in rows if row["answer"].startswith(one["source"])]
        claim = Claim(one["sentence"], (f"{row['question']}\n\n{row['answer']}",))
        found.append(Pair(claim, one["supported"], one["kind"], one["half"]))
    return found


def local_embedder(model: str | None = None) -> Embedder:
    """Return a local model, by default all-MiniLM-L6-v2, as the platform uses it."""
    settings = EmbeddingSettings(provider="local", model=model)
    return make_embedder(settings, OpenAISettings(), EgressSettings(), PHISettings())


async def judge(pairs: Sequence[Pair], embedder: Embedder) -> list[Verdict | None]:
    """Judge each sentence by itself, as if each were an answer."""
    judge = SimilarityJudge(embedder)
    return [(await judge.judge([pair.claim]))[0] for pair in pairs]


class Figures(NamedTuple):
    """Precision and recall of "unsupported", and the share of the supported sentences that pass."""

    precision: Share
    recall: Share
    passed: Share


def figures(pairs: Sequence[Pair], verdicts: Sequence[Verdict | None]) -> Figures:
    """Compare verdicts with labels; a sentence that was not judged is called neither."""
    judged = [(pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is not None]
    called = [pair for pair, verdict in judged if verdict.doubt is not None]
    right = sum(not pair.supported for pair in called)
    unsupported = sum(not pair.supported for pair in pairs)
    return Figures(
        Share(right, len(called)),
        Share(right, unsupported),
        Share(
            sum(pair.supported and verdict.doubt is None for pair, verdict in judged),
            sum(pair.supported for pair in pairs),
        ),
    )


def report(pairs: Sequence[Pair], verdicts: Sequence[Verdict | None]) -> Iterator[str]:
    """Yield the figures of each half, and the recall of each kind of unsupported sentence."""
    both = list(zip(pairs, verdicts, strict=True))
    for half in (DEV, HELD_OUT):
        of_half = [(pair, verdict) for pair, verdict in both if pair.half == half]
        found = figures([pair for pair, _ in of_half], [verdict for _, verdict in of_half])
        yield f"{half}: precision {found.precision}, recall {found.recall}, supported sentences passed {found.passed}"
        by_kind: dict[str, list[Verdict | None]] = defaultdict(list)
        for pair, verdict in of_half:
            by_kind[pair.kind].append(verdict)
        for kind, of_kind in sorted(by_kind.items()):
            called = sum(verdict is not None and verdict.doubt is not None for verdict in of_kind)
            yield f"  {kind}: called unsupported {Share(called, len(of_kind))}"


async def sweep(pairs: Sequence[Pair], embedder: Embedder) -> None:
    """Print the figures of the dev half for other weights and thresholds."""
    dev = [pair for pair in pairs if pair.half == DEV]
    for weight in (1.0, 0.85, 0.7, 0.55, 0.4):
        for threshold in (0.4, 0.45, 0.5, 0.55, 0.6, 0.65):
            similarity_judge.SIMILARITY_WEIGHT, similarity_judge.THRESHOLD = weight, threshold  # type: ignore[misc]
            found = figures(dev, await judge(dev, embedder))
            print(f"weight {weight:.2f}, threshold {threshold:.2f}: {found.precision}, {found.recall}, {found.passed}")


async def _run(arguments: argparse.Namespace) -> None:
    embedder, pairs = local_embedder(arguments.model), read_pairs()
    try:
        if arguments.sweep:
            await sweep(pairs, embedder)
            return
        verdicts = await judge(pairs, embedder)
    finally:
        await embedder.close()
    for line in report(pairs, verdicts):
        print(line)
    for pair, verdict in zip(pairs, verdicts, strict=True):
        if arguments.wrong and pair.half == DEV and (verdict is not None and verdict.doubt is None) != pair.supported:
            print(f"{pair.kind}, {verdict and verdict.doubt}: {pair.claim.sentence}")


def main() -> None:
    """Judge all sentences and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="list the sentences of the dev half that are misjudged")
    parser.add_argument("--sweep", action="store_true", help="try other weights and thresholds on the dev half")
    parser.add_argument("--model", help="the local embedding model (default: all-MiniLM-L6-v2)")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
