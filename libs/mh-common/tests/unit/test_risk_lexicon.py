"""What the lexicon notices: each entry by its own example, and what negation, time and persons make of it."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.models import RiskCategory, RiskLevel
from mh_common.risk import LexiconScreener
from mh_common.risk.lexicon import FOLDER, LANGUAGES, Entry, Kind, load_lexicon, rules_name

ENTRIES = load_lexicon().entries
WORDS = sorted({word for entry in ENTRIES for word in entry.example.split()})


@pytest.fixture(scope="module")
def screener() -> LexiconScreener:
    return LexiconScreener()


def _is_as_meant(screener: LexiconScreener, entry: Entry) -> bool:
    risk = screener.screen_now(entry.example)
    if entry.kind is Kind.RISK:
        return any(span.category is entry.category and span.level.rank >= entry.level.rank for span in risk.spans)
    return entry.kind is not Kind.FIGURE or not risk.level.needs_notice


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_entry_means_what_its_example_shows(screener: LexiconScreener, language: str) -> None:
    entries = [entry for entry in ENTRIES if entry.language == language]
    assert len(entries) > 100
    assert [entry.example for entry in entries if not _is_as_meant(screener, entry)] == []


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("I want to kill myself tonight", RiskLevel.ACUTE),
        ("Heute Nacht bringe ich mich um", RiskLevel.ACUTE),
        ("Esta noche me voy a matar", RiskLevel.ACUTE),
        ("Ce soir je vais me tuer", RiskLevel.ACUTE),
        ("My patient has pills at home. He says he will take them all tonight.", RiskLevel.ACUTE),
        ("She keeps thinking about suicide", RiskLevel.ELEVATED),
    ],
)
def test_a_danger_is_noticed(screener: LexiconScreener, text: str, level: RiskLevel) -> None:
    risk = screener.screen_now(text)
    assert risk.level is level
    assert RiskCategory.SUICIDE in risk.categories


@pytest.mark.parametrize(
    "text",
    [
        "She denies any thoughts of suicide",
        "Er verneint Suizidgedanken",
        "Niega ideación suicida",
        "Elle nie toute idée suicidaire",
        "Three years ago she tried to kill herself, and she has been well since",
        "This deadline is killing me",
        "I finally stopped cutting corners",
        "How do I explain suicide prevention to trainees?",
    ],
)
def test_what_is_denied_past_general_or_a_figure_of_speech_gets_no_notice(screener: LexiconScreener, text: str) -> None:
    assert not screener.screen_now(text).level.needs_notice


def test_a_denial_ends_at_but(screener: LexiconScreener) -> None:
    assert screener.screen_now(
        "She denies suicidal thoughts, but she has been saving up pills to kill herself"
    ).level is (RiskLevel.ACUTE)


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=40).map(" ".join))
def test_spans_lie_in_the_text_in_order(text: str) -> None:
    risk = LexiconScreener().screen_now(text)
    spans = [(span.start, span.end) for span in risk.spans]
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert risk.level is max((span.level for span in risk.spans), key=lambda level: level.rank, default=risk.level)


def test_rules_have_another_name_after_any_change_of_the_lexicon(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    assert rules_name(tmp_path) == rules_name()
    names = {rules_name()}
    for language in LANGUAGES:
        with (tmp_path / f"{language}.toml").open("a", encoding="utf-8") as file:
            file.write("# another word\n")
        names.add(rules_name(tmp_path))
    assert len(names) == 1 + len(LANGUAGES)
