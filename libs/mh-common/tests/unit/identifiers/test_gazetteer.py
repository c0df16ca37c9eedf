"""The lists of names, places and words."""

from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.identifiers.gazetteer import Known, fold, gazetteer, own_list, pack, unpack

WORDS = resources.files("mh_common.identifiers").joinpath("words")


@given(st.sets(st.text("abcdefghijklmnopqrstuvwxyz' -", min_size=1, max_size=40), max_size=50))
def test_packed_words_come_back(words: set[str]) -> None:
    assert unpack(pack(words)) == sorted(words)


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("keisha", Known.GIVEN),
        ("nguyen", Known.FAMILY),
        ("dayton", Known.PLACE),
        ("grace", Known.GIVEN | Known.WORD),
        ("stopped", Known.WORD),
        ("reframing", Known.WORD),
        ("sertraline", Known.HARMLESS),
        ("because", Known.WORD | Known.FUNCTION),
    ],
)
def test_what_a_word_is(word: str, known: int) -> None:
    assert gazetteer().known(word) & known == known


def test_a_frequent_name_is_no_word_although_the_dictionary_has_it() -> None:
    assert not gazetteer().known("maria") & Known.WORD


def test_a_slip_in_a_word_is_one() -> None:
    assert gazetteer().is_slip("relly")
    assert gazetteer().is_slip("anxeity")
    assert not gazetteer().is_slip("janequa")


@pytest.mark.parametrize("file", sorted(file.name for file in WORDS.iterdir()))
def test_our_own_lists_are_folded(file: str) -> None:
    """A word that is not would never be found."""
    assert [word for word in own_list(WORDS.joinpath(file)) if fold(word) != word] == []
