"""The figures of screening in docs/safety.md are those of the lexicon as it is."""

import asyncio
from pathlib import Path

import pytest
from mh_common.risk import LexiconScreener
from mh_devtools.risk.evaluate import Figures, measure
from mh_devtools.risk.texts import EVALUATION, HELD_OUT, TRAINING, read_texts
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


@pytest.fixture(scope="module")
def figures() -> Figures:
    return asyncio.run(measure(list(read_texts(EVALUATION)), LexiconScreener()))


def _cell(share: Share) -> str:
    if share.value is None or share.interval is None:
        return ""
    low, high = share.interval
    return f"{share.value:.2f} [{low:.2f}, {high:.2f}] of {share.all}"


@pytest.mark.parametrize(("group", "name"), NAMES.items())
def test_the_document_says_what_is_measured(figures: Figures, group: str, name: str) -> None:
    counts = figures.groups[group]
    row = " | ".join((name, _cell(counts.sensitivity), _cell(counts.specificity))).rstrip()
    assert f"| {row} |" in SAFETY.read_text("utf-8")


def test_every_text_can_be_read_and_none_is_in_two_files() -> None:
    texts = [text.text for path in (*TRAINING, HELD_OUT, EVALUATION) for text in read_texts(path)]
    assert len(texts) > 4_000
    assert len(set(texts)) == len(texts)


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text(
        '{"text": "a", "language": "en", "level": "none"}\n{"text": "b", "language": "en", "level": "high"}\n'
    )
    with pytest.raises(ValueError, match=r"texts\.jsonl:2: ValueError: 'high'"):
        list(read_texts(file))
