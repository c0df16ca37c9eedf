"""Splitting text queries into words."""

import pytest
from conversations_api.conversations.full_text import MAX_MARKUP_WORDS, markup_words, split
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


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("no mark-up", "1 < 2, A & B"), None),
        (("<p>Hello</p>", "a&nbsp;b"), " p nbsp "),
        (
            ("<div class='Note'>One note</div>", '<a href="http://example.org">there</a>'),
            " div class a href http example org ",
        ),
        (("<p>caf\u00e9</p>", "<i title='CAFE'>x</i>"), " p i title "),
        # A word that is not in the index is also found inside of others, as p in Help and br in bread.
        (("<p>Help</p>", "no<br>bread"), None),
        (("<script>alert(1)</script>Hi", "-"), " script alert 1 "),
    ],
)
def test_words_that_only_the_mark_up_has(texts: tuple[str, str], words: str | None) -> None:
    assert markup_words(*texts) == words


def test_an_image_inside_of_a_text_is_not_stored_once_more() -> None:
    image = "".join(f"x{number}+" for number in range(100_000))
    assert len(markup_words(f"<img src='data:image/png;base64,{image}'>Hi") or "") <= MAX_MARKUP_WORDS + 2


@given(st.text(max_size=60))
def test_no_word_that_is_shown_is_left_out(text: str) -> None:
    html = f"<p>{text.replace('<', '').replace('&', '')}</p>"
    hidden = (markup_words(html) or "").split()
    assert not {word for word in text.replace("<", "").replace("&", "").casefold().split() if word in hidden}
