"""The languages of the sample's texts: how many are known, and that none is taken for another."""

import csv
from collections import Counter

from mh_common.languages import language_of
from mh_common.sentences import sentence_spans
from mh_devtools.paths import SAMPLE

# By how the question begins; all others are in English.
OTHERS = {
    "Desde que me mudé": "es",
    "Mam 52 lata": "pl",
    "Mon mari a une": "fr",
    "Ich (17) wohne": "de",
    "أنا بنت عمري": "ar",
    "三年前の地震": "ja",
    "Zocken auf Sportwetten": "de",
    "Gibt es einen Unterschied": "de",
    "Estoy casado con": "es",
    "Was, wenn ich jemanden": "de",
    "मेरा बेटा दो": "hi",
}
MIXED = "Me dejó por WhatsApp"
"""The beginning of a question that is half Spanish and half English."""


def labelled_texts() -> list[tuple[str, str]]:
    """Return each question and answer of the sample with its language."""
    with (SAMPLE / "conversations.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["question"].startswith(MIXED)]
    languages = [
        next((one for start, one in OTHERS.items() if row["question"].startswith(start)), "en") for row in rows
    ]
    assert Counter(languages) - Counter({"en": len(rows)}) == Counter(OTHERS.values())
    return [(row[name], one) for row, one in zip(rows, languages, strict=True) for name in ("question", "answer")]


def test_the_language_of_every_text_is_known() -> None:
    assert [text for text, language in labelled_texts() if language_of(text) != language] == []


def test_the_language_of_a_sentence_is_known_or_left_open() -> None:
    texts = labelled_texts()
    sentences = [(text[start:end], language) for text, language in texts for start, end in sentence_spans(text)]
    outcomes = Counter(
        "unknown" if (found := language_of(sentence)) is None else "right" if found == language else "wrong"
        for sentence, language in sentences
    )
    assert outcomes["right"] / len(sentences) > 0.8
    assert outcomes["wrong"] / len(sentences) < 0.005
