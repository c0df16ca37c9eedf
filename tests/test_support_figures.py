"""The labelled sentences about the sample, and the figures of the check in docs/evaluation.md."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest
from mh_devtools.answers.measure_support import DEV, HELD_OUT, figures, judge, local_embedder, read_pairs
from mh_devtools.shares import Share

DOCUMENT = Path(__file__).parents[1] / "docs" / "evaluation.md"
TOLERANCE = 0.03
"""Another processor may judge a few sentences at the threshold the other way."""


def test_no_conversation_is_in_both_halves_and_both_have_enough_sentences() -> None:
    pairs = read_pairs()
    halves = {half: {pair.claim.texts for pair in pairs if pair.half == half} for half in (DEV, HELD_OUT)}
    assert not halves[DEV] & halves[HELD_OUT]
    assert len({pair.claim.sentence for pair in pairs}) == len(pairs)
    for half in halves:
        labels = Counter(pair.supported for pair in pairs if pair.half == half)
        assert min(labels[True], labels[False]) >= 50


@pytest.mark.slow
def test_the_document_says_how_well_support_is_judged() -> None:
    pairs = read_pairs()
    verdicts = asyncio.run(judge(pairs, local_embedder()))
    for half in (DEV, HELD_OUT):
        of_half = [(pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True) if pair.half == half]
        found = figures([pair for pair, _ in of_half], [verdict for _, verdict in of_half])
        [row] = re.findall(rf"^\| {half} \|(.*)\|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
        told = [float(cell.split()[0]) for cell in row.split("|")]
        assert told == pytest.approx([value_of(share) for share in found], abs=TOLERANCE)


def value_of(share: Share) -> float:
    assert share.value is not None
    return share.value
