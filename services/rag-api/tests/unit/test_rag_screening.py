"""Screening of questions and answers: history, failures, the switch, and what is counted."""

import asyncio
from collections.abc import Sequence
from datetime import date

import pytest
from mh_common.models import ConversationTurn, Risk, RiskCategory, RiskLevel, RiskSpan
from mh_common.models.answers import NOTICE
from mh_common.risk import LexiconScreener, RiskScreener
from prometheus_client import REGISTRY
from rag_api.safety import screening
from rag_api.safety.helplines import helpline_table
from rag_api.safety.notice import FAILED, SWITCHED_OFF, Notices
from rag_api.safety.screening import ScreeningService
from structlog.testing import capture_logs

ACUTE = "I want to kill myself tonight"


class BrokenScreener:
    """Raises, never answers, or answers for fewer texts."""

    def __init__(self, how: str = "raises") -> None:
        self._how = how

    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        if self._how == "hangs":
            await asyncio.Event().wait()
        if self._how == "forgets":
            return []
        raise RuntimeError(f"zebra {texts}")

    async def close(self) -> None: ...


class ScriptedScreener:
    """Finds in a text what a table says of it."""

    def __init__(self, found: dict[str, Risk]) -> None:
        self._found = found

    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        return [self._found.get(text, Risk()) for text in texts]

    async def close(self) -> None: ...


def service(screener: RiskScreener | None, lexicon: RiskScreener | None = None) -> ScreeningService:
    notices = Notices(helpline_table(), ["US"], lambda: date(2026, 12, 1))
    return ScreeningService(screener, lexicon or LexiconScreener(), notices)


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_question_with_acute_risk_gets_a_notice_with_its_words_and_helplines() -> None:
    before = count("mh_risk_screenings_total", text="question", level="acute")
    with capture_logs() as logs:
        found = await service(LexiconScreener()).screen_question(ACUTE)
    assert (found.risk.level, found.risk.screened) == (RiskLevel.ACUTE, True)
    assert RiskCategory.SUICIDE in found.risk.categories
    assert found.risk_notice is not None
    assert "kill myself" in found.risk_notice.summary
    assert "988" in [one.call for one in found.risk_notice.helplines]
    assert count("mh_risk_screenings_total", text="question", level="acute") == before + 1
    (line,) = logs
    assert line == {
        "event": "risk_noticed",
        "level": "acute",
        "categories": [category.value for category in found.risk.categories],
        "log_level": "info",
    }


async def test_a_question_without_risk_gets_none() -> None:
    with capture_logs() as logs:
        found = await service(LexiconScreener()).screen_question("How does my patient sleep better?")
    assert (found.risk.level, found.risk.screened, found.risk_notice, logs) == (RiskLevel.NONE, True, None, [])


async def test_a_danger_of_an_earlier_question_stays() -> None:
    turns = [ConversationTurn(role="user", content=ACUTE), ConversationTurn(role="assistant", content="Call somebody.")]
    found = await service(LexiconScreener()).screen_question("And what about her parents?", turns)
    assert found.risk.level is RiskLevel.ACUTE
    assert found.risk.spans == []
    assert found.risk_notice is not None
    assert "earlier in this conversation" in found.risk_notice.summary


async def test_earlier_answers_are_not_screened() -> None:
    turns = [ConversationTurn(role="user", content="Sleep?"), ConversationTurn(role="assistant", content=ACUTE)]
    assert (await service(LexiconScreener()).screen_question("And then?", turns)).risk.level is RiskLevel.NONE


async def test_the_highest_level_counts_with_its_categories_the_most_frequent_first() -> None:
    span = RiskSpan(start=0, end=1, category=RiskCategory.ABUSE, level=RiskLevel.LOW)
    screener = ScriptedScreener(
        {
            "now": Risk(level=RiskLevel.LOW, categories=[RiskCategory.ABUSE], spans=[span]),
            "one": Risk(level=RiskLevel.ELEVATED, categories=[RiskCategory.OVERDOSE, RiskCategory.SUICIDE]),
            "two": Risk(level=RiskLevel.ELEVATED, categories=[RiskCategory.SUICIDE]),
        }
    )
    turns = [ConversationTurn(role="user", content=text) for text in ("one", "two")]
    found = (await service(screener).screen_question("now", turns)).risk
    assert (found.level, found.categories) == (RiskLevel.ELEVATED, [RiskCategory.SUICIDE, RiskCategory.OVERDOSE])
    assert found.spans == [span]


@pytest.mark.parametrize("how", ["raises", "hangs", "forgets"])
async def test_a_failure_is_counted_and_said_and_ends_nothing(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "SCREENING_LIMIT", 0.01)
    before = count("mh_risk_screenings_total", text="question", level="failed")
    broken = service(BrokenScreener(how), BrokenScreener(how))
    with capture_logs() as logs:
        found = await broken.screen_question(ACUTE)
        answer = await broken.screen_answer("text")
    assert (found.risk.level, found.risk.screened, answer.screened) == (RiskLevel.NONE, False, False)
    assert found.risk_notice is not None
    assert found.risk_notice.summary == FAILED
    assert broken.disclaimer(found.risk) == f"{NOTICE} {FAILED}"
    assert count("mh_risk_screenings_total", text="question", level="failed") == before + 1
    assert [line["event"] for line in logs] == ["risk_screening_failed"] * 2
    assert ACUTE not in str(logs)


async def test_switched_off_nothing_is_screened_and_that_is_said() -> None:
    off = service(None)
    with capture_logs() as logs:
        found = await off.screen_question(ACUTE)
    assert (found.risk.level, found.risk.screened, found.risk_notice) == (RiskLevel.NONE, False, None)
    assert (await off.screen_answer(ACUTE)).screened is False
    assert off.disclaimer(found.risk) == f"{NOTICE} {SWITCHED_OFF}"
    assert logs == []


async def test_a_screened_question_has_the_plain_disclaimer() -> None:
    assert service(LexiconScreener()).disclaimer(Risk()) == NOTICE


async def test_texts_speak_of_a_danger_even_as_past_or_denied() -> None:
    low = RiskSpan(start=0, end=1, category=RiskCategory.OVERDOSE, level=RiskLevel.LOW)
    lexicon = ScriptedScreener(
        {
            "a": Risk(level=RiskLevel.ACUTE, categories=[RiskCategory.SUICIDE], spans=[low]),
            "b": Risk(level=RiskLevel.LOW, categories=[RiskCategory.OVERDOSE]),
            "c": Risk(level=RiskLevel.ACUTE, categories=[RiskCategory.HARM_TO_OTHERS]),
        }
    )
    made = ScreeningService(None, lexicon, Notices(helpline_table(), [], date.today))
    assert await made.speak_of([RiskCategory.OVERDOSE], ["a", "b", "c", "d"]) == [True, True, False, False]
    broken = ScreeningService(None, BrokenScreener(), Notices(helpline_table(), [], date.today))
    assert await broken.speak_of([RiskCategory.OVERDOSE], ["a", "b"]) == [False, False]
