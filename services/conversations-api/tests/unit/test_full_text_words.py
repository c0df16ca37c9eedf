"""Splitting text queries into words."""

import pytest
from conversations_api.conversations.full_text import split
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("query", "indexed", "others"),
    [
        ("sleep", ("sleep",), ()),
        ("Sleep sleep sleep", ("Sleep", "sleep"), ()),
        ("-sleep +(panic)*", ("sleep", "panic"), ()),
        ("self-harm", ("self", "harm"), ("self-harm",)),
        ("can't", ("can",), ("can't",)),
        ("the who", (), ("the", "who")),
        ("THE thé", (), ("THE", "thé")),
        ("ok", (), ("ok",)),
        ("x" * 84, ("x" * 84,), ()),
        ("x" * 85, (), ("x" * 85,)),
        ("für Angst", ("Angst",), ("für",)),
        ("Müdigkeit", ("Müdigkeit",), ()),
        ("тревога άγχος", ("тревога", "άγχος"), ()),
        ("焦虑 🙂", (), ("焦虑", "🙂")),
        ("a_b_c snake_case", (), ("a_b_c", "snake_case")),
        ("what ... now", ("now",), ("what",)),
        ("... ?", (), ("...", "?")),
        ("fu\u0308r²", (), ("fu\u0308r²",)),
    ],
)
def test_words_go_where_they_are_found(query: str, indexed: tuple[str, ...], others: tuple[str, ...]) -> None:
    words = split(query)
    assert (words.indexed, words.others) == (indexed, others)
    assert words.all == indexed + others


@given(query=st.text(min_size=1))
def test_every_query_asks_for_something_and_holds_no_operator(query: str) -> None:
    words = split(query)
    assert words.all
    for word in words.indexed:
        assert not set(word) & set("+-><()~*\"'@%, ")
        assert 3 <= len(word) <= 84
    for word in words.all:
        assert word in query
