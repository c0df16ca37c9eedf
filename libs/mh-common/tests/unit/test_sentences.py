"""Sentence segmentation."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.sentences import sentence_spans, truncate_at_sentence

marks = st.sampled_from('.!?…。؟"”)(,:3•😊水مЖж')
words = st.sampled_from(
    ["word", "Word", "I", "Dr", "e.g", "12", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u2028", "\u00a0"]
)
pieces = marks | words | st.sampled_from(["- ", "1. ", "a) "])
texts = st.one_of(st.text(max_size=200), st.lists(pieces, max_size=60).map("".join))


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("No mark at the end", ["No mark at the end"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Wait... Then go on.", ["Wait...", "Then go on."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("“Why?” she asked. (Nobody knew.) Silence.", ["“Why?” she asked.", "(Nobody knew.)", "Silence."]),
        ("See Dr. Smith at 5 p.m. on Monday.", ["See Dr. Smith at 5 p.m. on Monday."]),
        (
            "Try a sport, e.g. Judo, i.e. something slow. Good.",
            ["Try a sport, e.g. Judo, i.e. something slow.", "Good."],
        ),
        ("J. K. Rowling wrote it. So do I. We met.", ["J. K. Rowling wrote it.", "So do I.", "We met."]),
        (
            "Take 2.5 mg at 10.30. See www.example.com. Done",
            ["Take 2.5 mg at 10.30.", "See www.example.com.", "Done"],
        ),
        ("See No. 5 first. No. You need not.", ["See No. 5 first.", "No.", "You need not."]),
        (
            "It was hard.Then it got better (a bit).Now I rest.",
            ["It was hard.", "Then it got better (a bit).", "Now I rest."],
        ),
        ("A line that\nis wrapped in\nTwo places. Next.", ["A line that\nis wrapped in\nTwo places.", "Next."]),
        ("A heading\n\nThe text.", ["A heading", "The text."]),
        ("Try this:\n- Breathe in\n- Breathe out\n* Rest", ["Try this:", "Breathe in", "Breathe out", "Rest"]),
        ("1. Sit down. Rest.\r\n2) Get up\n(3) Walk\nb) Run", ["Sit down.", "Rest.", "Get up", "Walk", "Run"]),
        ("Breathe.2. Rest well. Go.", ["Breathe.", "2.", "Rest well.", "Go."]),
        ("我睡不着。怎么办\uff1f「休息吧\uff01」好。", ["我睡不着。", "怎么办\uff1f", "「休息吧\uff01」", "好。"]),
        ("كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
        ("मैं थका हूँ। मुझे सोना है।", ["मैं थका हूँ।", "मुझे सोना है।"]),
        ("¿Cómo está el Sr. García? Muy bien.", ["¿Cómo está el Sr. García?", "Muy bien."]),
        ("**Rest.** _Sleep._ Eat.", ["**Rest.**", "_Sleep._", "Eat."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(texts)
def test_only_whitespace_and_list_markers_are_omitted(text: str) -> None:
    end_before = 0
    for start, end in [*sentence_spans(text), (len(text), len(text))]:
        assert end_before <= start <= end
        gap = text[end_before:start]
        assert re.fullmatch(r"\s*(([-*+•·●▪◦‣\u2013—]|\(?\d{1,3}[.)]|\(?[A-Za-z]\)|[a-z]\.)\s+)*", gap)
        end_before = end


@given(texts)
def test_sentences_are_stripped_and_not_empty(text: str) -> None:
    for sentence in sentences(text):
        assert sentence
        assert sentence == sentence.strip()


@given(texts, st.integers(0, 120))
def test_a_limit_returns_a_prefix_of_the_sentences(text: str, limit: int) -> None:
    limited = sentence_spans(text, limit)
    assert limited == sentence_spans(text)[: len(limited)]
    assert all(end <= limit for _, end in limited)


@given(texts, st.integers(0, 120))
def test_truncation_ends_at_a_sentence(text: str, limit: int) -> None:
    kept = truncate_at_sentence(text, limit)
    assert text.startswith(kept)
    assert len(kept) <= limit
    assert kept in ("", text) or any(end == len(kept) for _, end in sentence_spans(text))


def test_truncation_keeps_as_much_as_fits() -> None:
    text = "First one. Second one. Third one."
    assert truncate_at_sentence(text, 100) == text
    assert truncate_at_sentence(text, len(text)) == text
    assert truncate_at_sentence(text, 30) == "First one. Second one."
    assert truncate_at_sentence(text, 5) == ""
