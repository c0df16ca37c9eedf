"""Which sentences are quoted, and which are where there is danger."""

import pytest
from mh_common.advice import unsafe_advice
from rag_api.safety.quotes import may_be_passed_on, may_be_quoted, may_be_quoted_at_risk


@pytest.mark.parametrize(
    "sentence",
    [
        "Stop taking your medication.",
        "You have bipolar disorder.",
        "It is just a phase.",
        "Make a safety plan, and promise her that you will not tell anyone.",
    ],
)
def test_unsafe_advice_is_never_quoted(sentence: str) -> None:
    assert not may_be_passed_on(sentence)
    assert not may_be_quoted_at_risk(sentence)


def test_some_advice_is_not_quoted_where_there_is_danger() -> None:
    sentence = "Make a safety plan, and wait until your next session."
    assert may_be_passed_on(sentence)
    assert not may_be_quoted_at_risk(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["You said you are alone.", "You mentioned that you have friends.", "As you\u2019ve described, he drinks."],
)
def test_what_another_person_said_of_themselves_is_not_quoted(sentence: str) -> None:
    assert not may_be_passed_on(sentence)
    # In a language model's answer it may be true: the counselor said it.
    assert unsafe_advice(sentence) is None


@pytest.mark.parametrize(
    "sentence",
    [
        "The wish comes from a body in a previous life.",
        "Karma explains why people leave.",
        "Look at your horoscope.",
        "Connect with your inner higher self.",
        "Feelings are messages from our soul.",
        "The dead are not gone.",
        "The universe has a plan for you.",
        "Hypnosis can bring back suppressed memories.",
        "A therapist can help you recover the lost memories.",
    ],
)
def test_what_no_counselor_can_rely_on_is_not_quoted(sentence: str) -> None:
    assert not may_be_passed_on(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Her past life experiences shape how she trusts.",
        "Think of your former life together.",
        "Happy memories of him may come back.",
        "Talk about the dead as often as you like.",
        "Music lifts the spirit.",
    ],
)
def test_a_life_before_is_no_former_life(sentence: str) -> None:
    assert may_be_passed_on(sentence)


def test_no_quote_names_a_telephone_number_or_an_address_though_a_language_model_may_read_it() -> None:
    for sentence in ("Call the lifeline at 1-800-273-8255 to talk.", "See www.example.org for groups near you."):
        assert not may_be_quoted(sentence)
        assert may_be_passed_on(sentence)
    assert may_be_quoted("Ask who is there for her in the evening.")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Go to the nearest emergency room.", True),
        ("Make a safety plan together.", True),
        ("Ask whether she has a plan.", True),
        ("Have you ever been to a women's shelter?", False),
        ("Whether or not she decides to take medication is her decision.", False),
        ("Support her in her decision to stay with her husband.", False),
        ("Stay with her until help comes.", True),
        ("We want you to be safe, and depression is treatable.", False),
        ("I doubt that a child of seven can think of suicide.", False),
        ("See https://example.org for a safety plan.", False),
        ("Try doing something physical.", False),
        ("Call 911 or go to the emergency room.", False),
        ("The lifeline is at 1-800-273-TALK.", False),
    ],
)
def test_at_risk_a_quote_points_to_safety_and_names_no_contact(sentence: str, expected: bool) -> None:
    assert may_be_quoted_at_risk(sentence) is expected
