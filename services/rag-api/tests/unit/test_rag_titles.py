"""Titles made from the beginning of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rag_api.integrations.titles import make_title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        ("Short  and\nstout", "Short and stout"),
        ("exactly 20 letters !", "exactly 20 letters !"),
        ("the last word goes onwards", "the last word goes…"),
        ("the nineteen letters stay", "the nineteen…"),
        ("abcdefghi abcdefghi next", "abcdefghi abcdefghi…"),
        ("x" * 30, "x" * 19 + "…"),
        ("うつ病" * 10, ("うつ病" * 10)[:19] + "…"),
    ],
)
def test_titles_consist_of_whole_words(text: str, title: str) -> None:
    assert make_title(text, 20) == title


@given(st.text(max_size=60), st.integers(1, 30))
def test_titles_are_one_line_and_within_the_limit(text: str, length: int) -> None:
    title = make_title(text, length)
    assert len(title) <= length
    assert len(title.splitlines()) <= 1
    assert title.strip() == title
