"""What the classifier notices beside the lexicon, with the real model."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import Risk, RiskLevel
from mh_common.risk import LexiconScreener
from mh_common.risk.words import fold
from mh_common.risk_classifier import JoinedScreener, make_screener
from mh_common.risk_classifier.classifier import RiskClassifier, load_classifier
from mh_common.risk_classifier.english import FOLDER, in_english, language_of
from structlog.testing import capture_logs

ORDINARY = (
    "My client started a new job in spring. She likes her colleagues, and we talk about how to say no to extra work."
)
HINT = (
    "Yesterday she gave her dog away and told her sister where the letters are, because after Friday it won't matter."
)


@pytest.fixture(scope="module")
def classifier() -> RiskClassifier:
    return load_classifier()


async def screened(text: str) -> Risk:
    screener = make_screener()
    [risk] = await screener.screen([text])
    await screener.close()
    return risk


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.tsv")), ids=lambda file: file.stem)
def test_each_word_has_one_meaning_and_is_written_as_texts_are_read(file: Path) -> None:
    pairs = [line.split("\t") for line in file.read_text("utf-8").splitlines()]
    assert [pair for pair in pairs if len(pair) != 2 or not all(pair)] == []
    words = [word for word, _ in pairs]
    assert len(set(words)) == len(words) > 3_000
    assert [word for word in words if fold(word) != word or len(word.split()) > 3] == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I help her with that?", "en"),
        ("Ella dice que ya no quiere ir a la escuela", "es"),
        ("Sie sagt, dass sie nicht mehr zur Schule will", "de"),
        ("Elle dit qu'elle ne veut plus aller à l'école", "fr"),
        ("", "en"),
        ("Xyzzy plugh", "en"),
    ],
)
def test_the_language_is_told_by_its_small_words(text: str, language: str) -> None:
    assert language_of(text) == language


def test_words_are_replaced_by_their_meaning_and_what_is_unknown_stays() -> None:
    assert in_english(["ella", "tiene", "plughxyz"], "es") == "she has plughxyz"


async def test_a_hint_that_the_lexicon_does_not_know_is_noticed_where_it_stands() -> None:
    text = f"{ORDINARY} {HINT} How do I go on?"
    assert not LexiconScreener().screen_now(HINT).level.needs_notice
    risk = await screened(text)
    assert risk.level.needs_notice
    assert {text[span.start : span.end] for span in risk.spans} == {HINT}


@pytest.mark.parametrize(
    "hint",
    [
        "Ha regalado su perro y dice que después del viernes ya nada importará.",
        "Sie hat ihren Hund verschenkt und sagt, nach Freitag ist alles egal.",
        "Elle a donné son chien et dit qu'après vendredi plus rien n'aura d'importance.",
    ],
)
async def test_hints_are_noticed_in_the_other_languages(hint: str) -> None:
    assert (await screened(hint)).level.needs_notice


async def test_ordinary_talk_is_quiet() -> None:
    assert (await screened(ORDINARY)).level is RiskLevel.NONE


async def test_the_words_of_the_lexicon_are_named_rather_than_the_sentence() -> None:
    text = "He was calm today and then he said that he will kill himself tonight."
    risk = await screened(text)
    assert risk.level is RiskLevel.ACUTE
    assert [text[span.start : span.end] for span in risk.spans] == ["will kill himself tonight"]


@pytest.mark.parametrize("place", [0, 20, 40])
def test_it_is_noticed_anywhere_in_a_long_message(classifier: RiskClassifier, place: int) -> None:
    sentences = [ORDINARY] * 40
    sentences.insert(place, HINT)
    text = " ".join(sentences)
    [found] = classifier.read([text])
    assert HINT in [text[one.start : one.end] for one in found]


def test_texts_read_together_are_judged_as_each_alone(classifier: RiskClassifier) -> None:
    texts = [ORDINARY, HINT, "", f"{ORDINARY} {HINT}", "Sie hat ihren Hund verschenkt.", f"{HINT} {ORDINARY * 20}"]
    assert classifier.read(texts) == [classifier.read([text])[0] for text in texts]


@given(st.lists(st.text(st.characters(), max_size=60), max_size=4))
def test_any_text_can_be_read_and_spans_are_within_it(texts: list[str]) -> None:
    for text, found in zip(texts, load_classifier().read(texts), strict=True):
        assert all(0 <= one.start < one.end <= len(text) for one in found)
        assert all(one.categories and one.level.needs_notice for one in found)


async def test_without_the_model_the_lexicon_screens_and_a_warning_says_so(tmp_path: Path) -> None:
    with capture_logs() as logs:
        screener = make_screener(model_dir=tmp_path)
    assert isinstance(screener, LexiconScreener)
    [line] = logs
    assert (line["event"], line["log_level"]) == ("risk_classifier_missing", "warning")
    assert "model.safetensors" in line["reason"]


async def test_a_closed_screener_is_not_used_again() -> None:
    screener = make_screener()
    assert isinstance(screener, JoinedScreener)
    await screener.close()
    with pytest.raises(RuntimeError):
        await screener.screen(["a"])
