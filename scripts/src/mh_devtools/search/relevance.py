"""Checks on a platform with the sample which queries the threshold of relevance takes for what they are not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mh_client import Client

from mh_devtools.paths import SAMPLE

ON_TOPIC: Final = ("queries.jsonl", "counselor-dev.jsonl")
OFF_TOPIC: Final = ("off_topic.jsonl", "off_topic_hard.jsonl")
BASELINE: Final = SAMPLE / "relevance-baseline.json"
"""The shares by embedding model."""
TOLERANCE: Final = 0.01


def wrong_shares(client: Client, files: Sequence[str] = (*ON_TOPIC, *OFF_TOPIC)) -> dict[str, float]:
    """Return the share of each file's queries that is rejected if on topic, accepted if off topic. Raises MHError."""
    shares = {}
    for name in files:
        queries = [json.loads(line)["query"] for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]
        accepted = sum(_is_accepted(client, query) for query in queries) / len(queries)
        shares[name] = round(accepted if name in OFF_TOPIC else 1 - accepted, 4)
    return shares


def _is_accepted(client: Client, query: str) -> bool:
    found = client.search(query, limit=1, plain_query=True)
    return bool(found.hits) and found.hits[0].relevance >= (found.relevance_threshold or 0.0)


def worse_than(baseline: Mapping[str, float], shares: Mapping[str, float]) -> list[str]:
    """Return a line for each share that is higher than in the baseline by more than the tolerance."""
    return [
        f"{name}: {share:.3f}, above the baseline of {baseline[name]:.3f}"
        for name, share in shares.items()
        if share > baseline[name] + TOLERANCE
    ]


def check(url: str, *, write: bool, baseline: Path = BASELINE) -> int:
    """Print the shares and compare them with those of the platform's embedding model, or write these.

    Return the exit code: 1 if a share is worse, or there are none of this model. Raises MHError.
    """
    with Client(url, timeout=60) as client:
        model = client.about().embedding.name
        shares = wrong_shares(client)
    for name, share in shares.items():
        print(f"{name}: {share:.3f} {'accepted' if name in OFF_TOPIC else 'rejected'} wrongly")
    known = json.loads(baseline.read_text(encoding="utf-8")) if baseline.exists() else {}
    if write:
        baseline.write_text(json.dumps(known | {model: shares}, indent=2) + "\n", encoding="utf-8")
        return 0
    if model not in known:
        print(f"{baseline} has no figures of {model}; add them with --write-baseline")
        return 1
    worse = worse_than(known[model], shares)
    print(*worse, sep="\n", end="\n" if worse else "")
    return 1 if worse else 0
