"""How counts and encodings are worded."""

import codecs

import pytest
from mh_common.formats import encoding_name
from mh_common.wording import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1000, "1,000 rows"), (1_000_001, "1,000,001 rows")],
)
def test_a_count_has_its_noun_in_the_right_form(number: int, text: str) -> None:
    assert counted(number, "row") == text


def test_a_plural_of_its_own_is_given() -> None:
    assert [counted(number, "query", "queries") for number in (1, 2)] == ["1 query", "2 queries"]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("utf-8", "UTF-8"),
        ("utf-16-le", "UTF-16"),
        ("utf-32-be", "UTF-32"),
        ("windows-1252", "Windows-1252"),
        ("cp1251", "Windows-1251"),
        ("cp437", "CP437"),
        ("koi8-r", "KOI8-R"),
        ("shift_jis", "SHIFT_JIS"),
    ],
)
def test_an_encoding_is_called_what_people_call_it(known: str, said: str) -> None:
    assert encoding_name(known) == said
    # What is said can be given as an option.
    assert codecs.lookup(said)
