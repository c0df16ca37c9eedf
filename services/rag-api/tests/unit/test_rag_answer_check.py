"""Holding what a language model writes against the rules, while it is written and as a whole."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import Risk, RiskLevel, UnsafeAdvice, Withheld
from rag_api.safety.answer_check import SentenceCheck, TextCheck, WholeCheck, make_check

BAD = "Stop taking your pills."


def shown(check: TextCheck, *chunks: str) -> str:
    return "".join([*(check.feed(chunk) for chunk in chunks), check.finish()])


sentences = st.sampled_from(
    [
        "Ask about sleep [1].",
        BAD,
        "It is just a phase.",
        "[2]",
        "Why not?",
        "He said so",
        "e.g. this",
        "\n\n- One thing",
        "\n",
        "Dr. Who",
        "No. 5 is “good”.",
        "3. Rest",
        "睡眠很重要。",
        "long " * 900,
    ]
)
texts = st.lists(sentences, min_size=1, max_size=8).map(lambda parts: " ".join(parts).strip())


@given(texts, st.data())
def test_the_shown_text_is_the_same_however_it_arrives(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    chunks = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
    whole, split = SentenceCheck(), SentenceCheck()
    assert shown(split, *chunks) == shown(whole, text)
    assert (split.passed, split.left_out, split.withheld) == (whole.passed, whole.left_out, whole.withheld)


@given(st.text(max_size=300).map(str.strip))
def test_a_text_without_unsafe_advice_is_shown_unchanged(text: str) -> None:
    check = SentenceCheck()
    result = shown(check, text)
    if not check.left_out:
        assert result == check.passed == text


def test_a_sentence_is_shown_as_soon_as_it_is_complete() -> None:
    check = SentenceCheck()
    assert [check.feed(chunk) for chunk in ("Ask", " first.", " Then", " wait. ")] == ["", "", "Ask first.", ""]
    assert check.finish() == " Then wait."


def test_an_unsafe_sentence_is_left_out_with_its_citation_and_that_is_said() -> None:
    check = SentenceCheck()
    result = shown(check, f"Ask first [1]. {BAD} [2] Then plan the day [3].")
    assert result == (
        "Ask first [1]. Then plan the day [3].\n\nOne sentence of the language model was left out because it contained "
        "advice that can do harm (stopping, changing or refusing medication without who prescribes it)."
    )
    assert check.passed == "Ask first [1]. Then plan the day [3]."
    assert (check.left_out, check.withheld) == ([UnsafeAdvice.MEDICATION], None)


def test_a_list_keeps_its_form_without_the_items_left_out() -> None:
    check = SentenceCheck()
    result = shown(check, f"Do this:\n- {BAD}\n- Ask why.\n- It is just a phase.\n- Plan it.")
    assert result.startswith("Do this:\n- Ask why.\n- Plan it.\n\n2 sentences of the language model were left out")
    assert check.left_out == [UnsafeAdvice.MEDICATION, UnsafeAdvice.MINIMISING]


def test_a_text_of_which_nothing_is_left_is_withheld() -> None:
    check = SentenceCheck()
    assert shown(check, "It is fine, tell him to rest.").startswith("The language model's suggestion was left out")
    assert (check.passed, check.withheld) == ("", Withheld.UNSAFE_ADVICE)


@pytest.mark.parametrize("level", [RiskLevel.NONE, RiskLevel.ACUTE])
def test_to_repeat_what_the_counselor_knows_is_no_diagnosis(level: RiskLevel) -> None:
    risk = Risk(level=level)
    text = "Your client has bipolar disorder. Make a safety plan."
    known, unknown = (make_check(question, risk) for question in ("She has bipolar disorder.", "She is sad."))
    assert shown(known, text) == text
    shown(unknown, text)
    assert unknown.left_out == [UnsafeAdvice.DIAGNOSIS]


def test_no_text_stays_no_text() -> None:
    assert shown(SentenceCheck()) == shown(WholeCheck(), "", "") == ""


def test_a_text_without_full_stops_is_not_held_back_until_its_end() -> None:
    check = SentenceCheck()
    text = "word " * 10_000
    assert len(check.feed(text)) > 40_000
    assert check.passed + check.finish() == text.rstrip()


@pytest.mark.parametrize("level", RiskLevel)
def test_in_danger_nothing_is_shown_before_all_of_it_is_checked(level: RiskLevel) -> None:
    check = make_check("How?", Risk(level=level))
    text = "Make a safety plan today. Ask who can stay with her."
    assert (check.feed(text) == "") == level.needs_notice
    assert check.passed + check.finish() == text if not level.needs_notice else check.finish() == text
    assert (check.passed, check.withheld) == (text, None)


def test_in_danger_one_unsafe_sentence_withholds_all_and_the_notice_takes_its_place() -> None:
    check = WholeCheck()
    assert shown(check, "Make a safety plan. ", "Leave him alone.") == (
        "The language model's suggestion was left out because it contained advice that can do harm (leaving somebody "
        "alone who may be in danger). Read the notice of risk in its place, and the conversations in the sources."
    )
    assert (check.passed, check.left_out) == ("", [UnsafeAdvice.LEAVING_ALONE])
    assert check.withheld is Withheld.UNSAFE_ADVICE


def test_in_danger_a_text_that_does_not_speak_to_it_is_withheld() -> None:
    check = WholeCheck()
    result = shown(check, "Plan the day, and walk in the evening [1].")
    assert result.startswith("The language model's suggestion was left out because it did not speak to the risk")
    assert (check.left_out, check.withheld) == ([], Withheld.RISK_NOT_ADDRESSED)
