"""Stemming: how search compares words."""

from itertools import pairwise

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


def test_a_phrase_is_found_within_a_text_and_not_across_two() -> None:
    words = indexed_words("My dogs bark.", "At night!")
    assert words == " my dog bark | at night "
    assert " dog bark " in words
    assert " bark at " not in words


@given(st.text())
def test_any_text_has_words_of_letters_and_digits_only(text: str) -> None:
    words = list(words_of(text))
    assert all(word.stem and word.stem.isalnum() for word in words)
    assert all(0 <= one.start < one.end <= other.start for one, other in pairwise(words))
    assert set(indexed_words(text)) <= {" ", "|", *(letter for word in words for letter in word.stem)}
