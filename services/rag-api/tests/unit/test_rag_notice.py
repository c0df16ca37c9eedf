"""The notice of risk, and the helplines in it."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from mh_common.models import Risk, RiskCategory, RiskLevel, RiskSpan
from mh_common.models.risk import INTERNATIONAL
from mh_common.settings import load_settings
from rag_api.safety.helplines import CHECKED_FOR, HelplineTable, helpline_table
from rag_api.safety.notice import MAX_QUOTES, Notices, ScreenedText
from rag_api.settings import Settings

TODAY = date(2026, 6, 30)
ALL = [category.value for category in RiskCategory]


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "country": "AA",
        "name": "A line",
        "categories": ["suicide"],
        "call": "123",
        "source": "https://example.org/line",
        "evidence": "Call 123",
        "checked_on": "2026-06-01",
        **fields,
    }


def table(*entries: dict[str, Any]) -> HelplineTable:
    return HelplineTable.parse(json.dumps(entries))


def notices(helplines: HelplineTable, *countries: str, today: date = TODAY) -> Notices:
    return Notices(helplines, countries, lambda: today)


def risk(
    *categories: RiskCategory, level: RiskLevel = RiskLevel.ACUTE, spans: tuple[tuple[int, int], ...] = ()
) -> Risk:
    found = [RiskSpan(start=start, end=end, category=categories[0], level=level) for start, end in spans]
    return Risk(level=level, categories=list(categories), spans=found)


def test_the_table_has_a_source_and_its_words_for_each_number() -> None:
    found = helpline_table()
    assert len(found.countries) > 20
    for country in found.countries:
        entries = found.of([country])
        assert any(one.is_emergency for one in entries), country
        assert any(RiskCategory.SUICIDE in one.categories and not one.is_emergency for one in entries), country
        for one in entries:
            assert one.source.startswith("http")
            assert one.evidence


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ""},
        {"source": "somebody said so"},
        {"evidence": " "},
        {"checked_on": "yesterday"},
        {"categories": []},
        {"categories": ["sadness"]},
        {"country": "Austria"},
        {"call": None},
    ],
)
def test_an_entry_without_source_date_purpose_or_number_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) if "call" not in wrong else "call, text or url"):
        table(entry(**wrong))
    for needed in ("source", "evidence", "checked_on"):
        without = entry()
        del without[needed]
        with pytest.raises(ValueError, match=needed):
            table(without)


def test_helplines_are_those_of_the_countries_and_categories_emergencies_first() -> None:
    found = table(
        entry(name="line of A"),
        entry(name="emergency of A", categories=ALL),
        entry(name="poison of A", categories=["overdose"]),
        entry(name="line of B", country="BB"),
        entry(name="emergency of B", country="BB", categories=ALL),
        entry(name="line of C", country="CC"),
    )
    notice = notices(found, "BB", "AA").notice(risk(RiskCategory.SUICIDE), [])
    assert notice is not None
    assert [one.name for one in notice.helplines] == ["emergency of B", "line of B", "emergency of A", "line of A"]
    assert notice.helplines_note is None


@pytest.mark.parametrize(("days", "checked"), [(0, True), (180, True), (181, False)])
def test_a_number_checked_too_long_ago_is_shown_as_unchecked(days: int, checked: bool) -> None:
    assert timedelta(days=180) == CHECKED_FOR
    found = table(entry(), entry(country="BB"))
    made = notices(found, "AA", today=date(2026, 6, 1) + timedelta(days=days))
    notice = made.notice(risk(RiskCategory.SUICIDE), [])
    assert notice is not None
    assert [one.is_checked for one in notice.helplines] == [checked]
    assert ("unchecked" in (notice.helplines_note or "")) is not checked
    # Countries that are not shown need no check.
    assert made.unchecked() == ({} if checked else {"AA": 1})


def test_a_number_that_was_never_checked_counts_as_unchecked() -> None:
    made = notices(table(entry(checked_on=None)), "AA", today=date(2026, 6, 1))
    assert made.unchecked() == {"AA": 1}


def test_without_a_country_no_number_is_shown_but_directories_and_why() -> None:
    found = table(entry(), entry(country=INTERNATIONAL, call=None, url="https://example.org", name="Directory"))
    notice = notices(found).notice(risk(RiskCategory.SUICIDE), [])
    assert notice is not None
    assert [(one.name, one.call) for one in notice.helplines] == [("Directory", None)]
    assert notice.helplines_note is not None
    assert "SAFETY_COUNTRY" in notice.helplines_note
    assert found.countries == ["AA"]


def test_that_the_table_has_none_for_a_danger_is_said() -> None:
    notice = notices(table(entry(categories=ALL)), "AA").notice(risk(RiskCategory.PSYCHOSIS), [])
    assert notice is not None
    assert notice.helplines_note is not None
    assert "no helpline for psychosis with danger in AA" in notice.helplines_note


def test_the_summary_quotes_the_words_in_which_it_was_noticed() -> None:
    text, before = "She wants to die. She has pills, and a plan.", "He hit her."
    texts = [
        ScreenedText(text, risk(RiskCategory.SUICIDE, spans=((4, 16), (22, 30), (4, 16)))),
        ScreenedText(before, risk(RiskCategory.SUICIDE, spans=((0, 6),)), earlier=True),
    ]
    notice = notices(table(entry()), "AA").notice(risk(RiskCategory.SUICIDE, RiskCategory.OVERDOSE), texts)
    assert notice is not None
    assert notice.summary.startswith(
        "Acute risk noticed: suicide and overdose "
        "(“wants to die”, “has pill” and “He hit” earlier in this conversation). Act first: "
    )


def test_quotes_are_few_short_and_without_markup() -> None:
    text = "![x](https://evil.example/?q=1) " + "die " * 100
    spans = ((0, 31), (32, 431), (36, 40), (40, 44), (32, 39), (32, 47))
    notice = notices(table(), "AA").notice(
        risk(RiskCategory.SUICIDE), [ScreenedText(text, risk(RiskCategory.SUICIDE, spans=spans))]
    )
    assert notice is not None
    assert notice.summary.count("“") == MAX_QUOTES
    assert "](" not in notice.summary
    assert "evil.example" not in notice.summary
    assert len(notice.summary) < 500


@pytest.mark.parametrize("category", RiskCategory)
def test_each_danger_has_its_questions(category: RiskCategory) -> None:
    notice = notices(table(), "AA").notice(risk(category, level=RiskLevel.ELEVATED), [])
    assert notice is not None
    assert 7 <= len(notice.questions) <= 8
    assert notice.summary.startswith("Risk noticed: ")


def test_the_questions_of_several_dangers_are_not_repeated() -> None:
    made = notices(table(), "AA")
    one, both = (
        made.notice(risk(*found), [])
        for found in ((RiskCategory.SUICIDE,), (RiskCategory.SUICIDE, RiskCategory.DOMESTIC_VIOLENCE))
    )
    assert one is not None
    assert both is not None
    assert set(one.questions) < set(both.questions)
    assert any("Children" in question for question in both.questions)
    assert len(both.questions) < 10


@pytest.mark.parametrize("level", [RiskLevel.NONE, RiskLevel.LOW])
def test_below_elevated_risk_there_is_no_notice(level: RiskLevel) -> None:
    assert notices(table(), "AA").notice(risk(RiskCategory.SUICIDE, level=level), []) is None


def test_an_unknown_country_is_an_error_that_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETY_COUNTRY", "US, Atlantis")
    with pytest.raises(SystemExit, match=r"ATLANTIS; known are .*US") as stopped:
        load_settings(Settings)
    assert "SAFETY_COUNTRY" in str(stopped.value)


@pytest.mark.parametrize(("value", "countries"), [("", []), ("us", ["US"]), (" AT, DE,AT ", ["AT", "DE"])])
def test_countries_are_read_in_order(monkeypatch: pytest.MonkeyPatch, value: str, countries: list[str]) -> None:
    monkeypatch.setenv("SAFETY_COUNTRY", value)
    assert load_settings(Settings).safety.countries == countries
