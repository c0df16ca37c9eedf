"""The language of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.languages import NAMES, language_of, other_language

TEXTS = {
    "en": "How can I help a patient who does not sleep?",
    "de": "Wie kann ich einem Patienten helfen, der nicht schläft?",
    "es": "¿Cómo puedo ayudar a un paciente que no duerme?",
    "fr": "Comment puis-je aider un patient qui ne dort pas ?",
    "it": "Come posso aiutare un paziente che non riesce a dormire?",
    "pt": "Como posso ajudar um paciente que não consegue dormir?",
    "nl": "Hoe kan ik een patiënt helpen die niet kan slapen?",
    "pl": "Jak mogę pomóc pacjentowi, który nie może spać w nocy?",
    "ar": "كيف أساعد مريضا لا ينام؟",
    "he": "איך אוכל לעזור למטופל שאינו ישן?",
    "hi": "मैं उस मरीज़ की मदद कैसे करूँ जो सो नहीं पाता?",
    "ja": "眠れない患者をどう助ければいいですか。",
    "ko": "잠을 못 자는 환자를 어떻게 도울 수 있나요?",
    "ru": "Как помочь пациенту, который не спит?",
    "el": "Πώς μπορώ να βοηθήσω έναν ασθενή που δεν κοιμάται;",  # noqa: RUF001
    "th": "ฉันจะช่วยผู้ป่วยที่นอนไม่หลับได้อย่างไร",
    "zh": "怎样帮助一个睡不着的病人？",  # noqa: RUF001
}


def test_every_language_that_has_a_name_has_an_example_here() -> None:
    assert TEXTS.keys() == NAMES.keys()


@pytest.mark.parametrize(("language", "text"), TEXTS.items(), ids=TEXTS)
def test_the_language_of_a_question_is_known(language: str, text: str) -> None:
    assert language_of(text) == language
    assert language_of(text.upper()) == language
    assert language_of(f"  {text} {text}\n") == language


@pytest.mark.parametrize("text", ["", " ", "123 + 4", "🙂 🙂", "Sertraline 50 mg", "Lisbon", "Dr. Ruiz", "ok", "no"])
def test_what_shows_no_language_has_none(text: str) -> None:
    assert language_of(text) is None


def test_names_and_quotations_in_another_script_do_not_change_it() -> None:
    assert language_of("She says 「大丈夫」 whenever I ask her how she is, and then she is silent.") == "en"
    assert language_of("彼は burnout と言いますが、眠れていないそうです。") == "ja"


def test_a_language_differs_only_if_both_are_known() -> None:
    assert other_language(TEXTS["de"], than=TEXTS["en"]) == "de"
    assert other_language(TEXTS["de"], than=TEXTS["de"]) is None
    assert other_language("ok", than=TEXTS["de"]) is None
    assert other_language(TEXTS["de"], than="ok") is None


@given(st.text())
def test_any_text_has_a_known_language_or_none(text: str) -> None:
    assert language_of(text) in {None, *NAMES}


@given(st.sampled_from(sorted(TEXTS)), st.text(alphabet="0123456789.,;:!?()[]+-/ \n\t🙂"))
def test_digits_and_marks_change_nothing(language: str, marks: str) -> None:
    assert language_of(f"{marks} {TEXTS[language]} {marks}") == language


@given(st.sampled_from(sorted(TEXTS)), st.integers(min_value=1, max_value=200))
def test_repeating_a_text_changes_nothing(language: str, times: int) -> None:
    assert language_of(f"{TEXTS[language]}\n" * times) == language
