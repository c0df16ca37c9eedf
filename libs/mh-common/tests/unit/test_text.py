"""What a reader sees of a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.text import is_blank, normalized, plain_text

VISIBLE = "aé中ह💙-.0"
INVISIBLE = " \t\n\u00a0\u200b\ufeff\u00ad\u3164\u2060\u2800\x00\U000e0041"


@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank("")
    assert is_blank(text)
    assert is_blank(text * 3 + " ")


@pytest.mark.parametrize("character", VISIBLE)
def test_one_visible_character_is_enough(character: str) -> None:
    assert not is_blank(character)
    assert not is_blank(f"\u200b{character}\ufeff")


@given(st.text(max_size=20))
def test_a_text_is_blank_when_each_character_is(text: str) -> None:
    assert is_blank(text) == all(map(is_blank, text))


@given(st.text(max_size=20))
def test_composed_and_decomposed_forms_are_one(text: str) -> None:
    assert normalized(unicodedata.normalize("NFD", text)) == normalized(text)


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("<p>One.</p><p>Two.</p>", "One.\n\nTwo."),
        ("<P class='a>b'>One.</P>\n  <DIV>Two.</DIV>", "One.\n\nTwo."),
        ("One.<br>Two.<br/>Three.", "One.\nTwo.\nThree."),
        ("<ul><li>one</li><li>two</ul>after", "- one\n- two\n\nafter"),
        ("<p>a\nline  that\ngoes on</p>", "a line that goes on"),
        ("<b>Bold</b> words.\nA line.\n\nA paragraph.", "Bold words.\nA line.\n\nA paragraph."),
        ("You&rsquo;re not&nbsp;alone &amp; safe &#39;now&#x27;", "You\u2019re not alone & safe 'now'"),
        ("&lt;p&gt; is a tag", "<p> is a tag"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<script>alert('<p>x</p>')</script>Read <style>p {}</style>this", "Read this"),
        ("before<!-- a comment <p> -->after", "beforeafter"),
        ('<a href="https://example.org/?a=1&amp;b=2">A link</a>', "A link"),
        ("<o:p></o:p>From an office program", "From an office program"),
    ],
)
def test_html_reads_as_a_browser_shows_it(html: str, plain: str) -> None:
    assert plain_text(html) == plain


@pytest.mark.parametrize(
    "text",
    [
        "I <3 my dog, and 3 < 5 > 4",
        "Write to <jo@example.org>, or see <https://example.org>.",
        "if a<b then c",
        "AT&T; R&D &foo; &notit; ?a=1&copy=2",
        "An unended <p and <!-- a comment",
        "Two  blanks,\n\n\n\nfour breaks ",
    ],
)
def test_what_is_no_html_stays_as_it_is(text: str) -> None:
    assert plain_text(text) == text


def test_what_only_looks_like_a_tag_stays_between_tags() -> None:
    assert plain_text("<p>I <3 you, a<b, <jo@example.org></p>") == "I <3 you, a<b, <jo@example.org>"


def test_a_script_that_never_ends_hides_nothing() -> None:
    assert plain_text("<p>Read</p><script>this") == "Read\n\nthis"


@given(st.text())
def test_a_text_without_tags_and_entities_is_returned_as_it_is(text: str) -> None:
    if "<" not in text and "&" not in text:
        assert plain_text(text) == text


PIECES = ("<p>", "</p>", "<br>", "<li>", "<b>", ">", "&amp;", "word", " ")


@given(st.lists(st.sampled_from(PIECES)))
def test_no_word_between_tags_is_lost(pieces: list[str]) -> None:
    assert plain_text("".join(pieces)).count("word") == pieces.count("word")
