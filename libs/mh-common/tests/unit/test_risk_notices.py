"""A notice of risk as text: complete, the same as Markdown, and taken off again from answers that come back."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import (
    NOT_SCREENED,
    AnswerRisk,
    Helpline,
    Risk,
    RiskCategory,
    RiskLevel,
    RiskNotice,
    SearchResult,
)
from mh_common.models.risk import without_notices

LINE = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=40).filter(str.strip)
HELPLINE = st.builds(
    Helpline,
    country=st.sampled_from(["US", "EU"]),
    name=LINE,
    categories=st.just([RiskCategory.SUICIDE]),
    call=st.none() | LINE,
    text=st.none() | LINE,
    url=st.none(),
    hours=st.none() | LINE,
    source=st.just("https://example.org"),
    checked_on=st.dates(),
    is_checked=st.booleans(),
)
NOTICE = st.builds(
    RiskNotice,
    summary=LINE,
    questions=st.lists(LINE, max_size=3),
    helplines=st.lists(HELPLINE, max_size=2),
    helplines_note=st.none() | LINE,
)
NOTICED = st.builds(
    AnswerRisk,
    risk=st.sampled_from([Risk(), Risk(level=RiskLevel.ACUTE), NOT_SCREENED]),
    risk_notice=st.none() | NOTICE,
)


def test_a_notice_says_what_to_ask_and_whom_to_call() -> None:
    old, new = (
        Helpline(
            country=country,
            name=name,
            categories=[RiskCategory.SUICIDE],
            call=call,
            text=text,
            hours=hours,
            note=None if hours else "Also 0800 111 0 222.",
            source="https://example.org",
            checked_on=date(2026, 3, 1),
            is_checked=hours is not None,
        )
        for country, name, call, text, hours in (
            ("US", "988 Suicide & Crisis Lifeline", "988", "988", "24/7"),
            ("DE", "TelefonSeelsorge", "0800 111 0 111", None, None),
        )
    )
    notice = RiskNotice(
        summary="Acute risk noticed: suicide (“tonight”). Act first.",
        questions=["Plan: how?", "Means: with what?"],
        helplines=[old, new],
        helplines_note="Call the emergency number in doubt.",
    )
    *lines, last = notice.as_text().splitlines()
    assert lines == [
        "[Notice] Acute risk noticed: suicide (“tonight”). Act first.",
        "",
        "To ask:",
        "- Plan: how?",
        "- Means: with what?",
        "",
        "Helplines:",
        "- US: 988 Suicide & Crisis Lifeline: call 988, text 988, 24/7",
        "- DE: TelefonSeelsorge: call 0800 111 0 111 (unchecked since 2026-03-01). Also 0800 111 0 222.",
        "",
        "Call the emergency number in doubt.",
        "",
    ]
    assert last.startswith("[End of notice. It is for professionals, not for patients.")


@pytest.mark.parametrize(
    ("noticed", "shown"),
    [
        (AnswerRisk(risk=Risk()), ""),
        (AnswerRisk(risk=Risk(level=RiskLevel.LOW)), ""),
        (SearchResult(risk=Risk(), hits=[], total_hits=0), ""),
        # What an older server sends.
        (AnswerRisk.model_validate({}), "[Notice] This question was not screened for risk."),
        (SearchResult(hits=[], total_hits=0), "[Notice] This question was not screened for risk."),
    ],
)
def test_only_what_was_screened_is_passed_over_in_silence(noticed: AnswerRisk, shown: str) -> None:
    assert noticed.as_text() == noticed.as_line()
    assert noticed.as_text().startswith(shown)
    assert bool(noticed.as_text()) == bool(shown)


@given(st.lists(st.tuples(NOTICED, LINE), max_size=3))
def test_notices_are_taken_off_and_nothing_else_is(parts: list[tuple[AnswerRisk, str]]) -> None:
    answers = [f"An answer [1]: {text}\n\n- {text}" for _, text in parts]
    sent = [
        "\n\n".join(filter(None, [noticed.as_text(), answer]))
        for (noticed, _), answer in zip(parts, answers, strict=True)
    ]
    assert without_notices("\n\n".join(sent)) == "\n\n".join(answers)


@given(NOTICED)
def test_the_short_form_begins_like_the_long_one(noticed: AnswerRisk) -> None:
    assert noticed.as_text().split("\n")[0] == noticed.as_line()
    assert without_notices("\n\n".join(filter(None, [noticed.as_line(), "An answer."]))) == "An answer."


@pytest.mark.parametrize("text", ["", "The [Notice] on the board.", "[1] [Notice", "[End of notice] and more\n\n"])
def test_what_a_person_writes_of_notices_stays(text: str) -> None:
    assert without_notices(text) == text


def test_a_notice_that_was_cut_off_loses_its_first_line() -> None:
    whole = AnswerRisk(risk_notice=RiskNotice(summary="Acute.", questions=["How?"], helplines=[])).as_text()
    assert without_notices(whole[: whole.index("[End")]) == "To ask:\n- How?\n\n"
