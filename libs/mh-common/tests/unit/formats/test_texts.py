"""What shows of a text in a file, as in a request, and which conversations are the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.formats.texts import clean_name, text_fault
from mh_common.text import content_hash, is_blank


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n",
        "\u00a0\u3000\u2003",
        "\u200b\u200c\u200d\u2060\ufeff",
        "\u00ad\u061c\u202e",
        "\u2800",
        "\u3164\u115f\uffa0",
        "\ufe0f\U000e0100",
        "\x1b\x85",
    ],
)
def test_a_text_of_which_nobody_sees_anything_is_empty(text: str) -> None:
    assert is_blank(text)
    assert "is empty" in (text_fault(text) or "")


# What fonts of one's own show (U+E000) or a later Unicode (U+0378) counts as seen, in files as in requests.
@pytest.mark.parametrize(
    "text", ["a", " .", "\u200b?", "😢", "é", "e\u0301", "\u200f\u05d0", "我", "0", "~", "\u093f", "\ue000", "\u0378"]
)
def test_a_text_of_which_somebody_sees_something_is_none(text: str) -> None:
    assert not is_blank(text)
    assert text_fault(text) is None


def test_names_of_columns_lose_what_nobody_sees() -> None:
    assert clean_name("\ufeff 'Ques\u200btion\x1b  text' ") == "Question text"


def test_the_same_conversation_has_the_same_hash_however_it_is_encoded() -> None:
    same = {
        content_hash("café\nanxiété", "Ångström"),
        content_hash("cafe\u0301\r\nanxie\u0301te\u0301", "A\u030angstro\u0308m"),
        content_hash("  café\ranxiété\n", "\u212bngström "),
    }
    assert len(same) == 1
    assert len(same.pop()) == 32
    # It is stored, and must stay what it is.
    assert content_hash("q", "a").hex() == "dc077f4bb59c2da6377676e5c7429c21d1c3fe686349204bba7436ee8f7de352"


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_different_conversations_have_different_hashes(a: str, b: str, c: str, d: str) -> None:
    def plain(text: str) -> str:
        return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()

    assert (content_hash(a, b) == content_hash(c, d)) == ((plain(a), plain(b)) == (plain(c), plain(d)))


def test_what_moves_from_the_question_to_the_answer_makes_another_conversation() -> None:
    assert (
        len({content_hash("ab", "c"), content_hash("a", "bc"), content_hash("abc", ""), content_hash("c", "ab")}) == 4
    )
