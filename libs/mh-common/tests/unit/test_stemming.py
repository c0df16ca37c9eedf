"""Stemming: how search compares words."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.stemming import indexed_words, stem_of, words_of


def test_words_have_their_place_and_are_alike_in_all_their_forms() -> None:
    text = "🌙 Panic-attacks, she's PANICKED"
    words = list(words_of(text))
    assert [text[word.start : word.end] for word in words] == ["Panic", "attacks", "she", "s", "PANICKED"]
    assert [word.stem for word in words] == ["panic", "attack", "she", "s", "panick"]
    assert stem_of("Déjà") == stem_of("deja")
    assert stem_of("Straße") == stem_of("strasse")
    assert stem_of("家族") == "家族"
    assert stem_of("𝐏𝐀𝐍𝐈𝐂") == stem_of("panic")  # noqa: RUF001 - the point


def test_a_phrase_is_found_within_a_text_and_not_across_two() -> None:
    words = indexed_words("My dogs bark.", "At night!")
    assert words == " my dog bark | at night "
    assert " dog bark " in words
    assert " bark at " not in words


@pytest.mark.parametrize(
    "text",
    [
        "हिन्दी",
        "مُحَمَّد",
        "שָׁלוֹם",
        "cafe\u0301",
        "น้ำ",
        "한국어",
        "Vie\u0323\u0302t",
        "sui\u00adcide",
        "می\u200cخوریم",
        "1\ufe0f\u20e3",
    ],
)
def test_marks_and_what_nobody_sees_do_not_end_a_word(text: str) -> None:
    assert [(word.start, word.end) for word in words_of(f" {text}, {text}.")] == [
        (1, len(text) + 1),
        (len(text) + 3, 2 * len(text) + 3),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("مُحَمَّد", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("sui\u00adcide", "suicide"),
        ("déjà", "de\u0301ja\u0300"),
        ("1\ufe0f\u20e3", "1"),
    ],
)
def test_what_may_be_left_out_in_writing_makes_no_other_word(one: str, other: str) -> None:
    assert stem_of(one) == stem_of(other)


def test_vowel_signs_make_another_word() -> None:
    assert len({stem_of(word) for word in ("हिन्दी", "हन्दी", "हनद", "ค่า", "คา", "ค้า")}) == 6


@given(st.text())
def test_the_forms_of_unicode_have_the_same_words(text: str) -> None:
    assert indexed_words(unicodedata.normalize("NFD", text)) == indexed_words(unicodedata.normalize("NFC", text))


@given(st.text())
def test_any_text_has_stems_without_blanks_and_signs(text: str) -> None:
    words = list(words_of(text))
    assert all(word.stem for word in words)
    assert not any(character.isspace() or character in "|_%" for word in words for character in word.stem)
    assert all(0 <= one.start < one.end <= other.start for one, other in pairwise(words))
    assert set(indexed_words(text)) <= {" ", "|", *(letter for word in words for letter in word.stem)}
