"""The figures of screening in docs/safety.md are those of lexicon and classifier as they are."""

import asyncio
import re
from pathlib import Path

import pytest
from mh_common.risk import LexiconScreener, RiskScreener
from mh_common.risk_classifier import make_screener
from mh_devtools.risk.evaluate import Figures, measure
from mh_devtools.risk.texts import EVALUATION, TRAINING, TUNING, read_texts
from mh_devtools.shares import Share

SAFETY = Path(__file__).parents[1] / "docs" / "safety.md"
NAMES = {
    "all": "all",
    "en": "English",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "suicide": "suicide",
    "self_harm": "self-harm",
    "overdose": "overdose",
    "psychosis": "psychosis",
    "harm_to_others": "harm to others",
    "abuse": "abuse",
    "domestic_violence": "domestic violence",
}
TOLERANCE = 0.015
"""Another processor may judge a few messages at the threshold the other way."""


def figures_by(screener: RiskScreener) -> Figures:
    return asyncio.run(measure(list(read_texts(*EVALUATION)), screener))


def says(name: str, *shares: Share) -> bool:
    """Whether the document has a row of this name with these shares."""
    [row] = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", SAFETY.read_text("utf-8"), re.MULTILINE)
    cells = [re.fullmatch(r" (?:([\d.]+) \[[\d., ]+\] of (\d+))? *", cell) for cell in row.split("|")]
    return all(
        cell is not None
        and (cell[1] is None) == (share.value is None)
        and (share.value is None or (cell[2] == str(share.all) and abs(float(cell[1]) - share.value) <= TOLERANCE))
        for cell, share in zip(cells, shares, strict=True)
    )


def test_the_document_says_what_the_lexicon_alone_notices() -> None:
    counts = figures_by(LexiconScreener()).groups["all"]
    assert says("all, by the lexicon alone", counts.sensitivity, counts.specificity)


@pytest.mark.slow
def test_the_document_says_what_both_notice() -> None:
    groups = figures_by(make_screener()).groups
    told = {group: says(name, groups[group].sensitivity, groups[group].specificity) for group, name in NAMES.items()}
    assert told == dict.fromkeys(NAMES, True)


def test_every_text_can_be_read_and_none_is_in_two_files() -> None:
    texts = [text.text for text in read_texts(*TRAINING, *TUNING, *EVALUATION)]
    assert len(texts) > 8_000
    assert len(set(texts)) == len(texts)


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text(
        '{"text": "a", "language": "en", "level": "none"}\n{"text": "b", "language": "en", "level": "high"}\n'
    )
    with pytest.raises(ValueError, match=r"texts\.jsonl:2: ValueError: 'high'"):
        list(read_texts(file))
