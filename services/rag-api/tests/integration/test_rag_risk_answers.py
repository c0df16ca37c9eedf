"""Risk in questions, from the shipped app, with and without a language model: what is shown first, and what never."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from mh_common.models import Answer, Risk
from mh_common.models.answers import NOTICE
from mh_common.risk import LexiconScreener
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, RunApp, ServeApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from rag_api.settings import AnswersSettings, SafetySettings, Settings

PATH = "/api/v1/answers"
SUICIDE = "I want to kill myself tonight"
PILLS = "My patient has pills at home and says he will take them all tonight"
SLEEP = "How do I help a patient who cannot fall asleep?"

ROWS = [
    (
        "I want to kill my boss tonight",
        "If you want to kill others, step outside tonight. Try doing something physical.",
    ),
    ("When I am sad and alone I get restless tonight", "Try doing something physical tonight. You said you are alone."),
    ("My mother will not take her pills at home", "Refusing pills is your right at home. Hide the pills in her food."),
    ("I cannot fall asleep tonight", "Keep the same hours each day. Stop taking your sleeping pills."),
]
ABOUT_SUICIDE = (
    "My sister is suicidal and wants to kill herself with an overdose of pills tonight",
    "Stay with her, and go to the emergency room of a hospital tonight. Try doing something physical tonight. "
    "Refusing pills is your right. Call 1-800-273-8255 tonight. Ask her to promise not to hurt herself tonight.",
)
FORBIDDEN = ("physical", "kill others", "Refusing pills", "You said", "1-800", "promise", "Stop taking")


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    """Conversations none of which speaks of suicide or an overdose."""
    await index([conversation(key, *texts) for key, texts in enumerate(ROWS, start=1)])


@pytest.fixture
async def indexed_with_suicide(index: WriteIndex, conversation: MakeConversation) -> None:
    await index([conversation(key, *texts) for key, texts in enumerate([*ROWS, ABOUT_SUICIDE], start=1)])


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


def with_safety(settings: Settings, **safety: Any) -> Settings:
    return settings.model_copy(update={"safety": SafetySettings(**safety)})


async def ask(client: httpx.AsyncClient, question: str, url: str = "", **request: Any) -> Answer:
    response = await client.post(url + PATH, json={"question": question, "top_k": 5, **request})
    assert response.status_code == 200, response.text
    return Answer.model_validate(response.json())


async def stream(client: httpx.AsyncClient, question: str, url: str) -> tuple[list[str], Answer]:
    """Return the names of the events, and the answer that they are."""
    headers = {"Accept": "text/event-stream"}
    response = await client.post(url + PATH, json={"question": question, "top_k": 5}, headers=headers)
    events = re.findall(r"^event: (\w+)\ndata: (.*)$", response.text, re.MULTILINE)
    parts: dict[str, Any] = {"answer": ""}
    for name, data in events:
        if name == "token":
            parts["answer"] += json.loads(data)["text"]
        else:
            parts |= json.loads(data)
    return [name for name, _ in events], Answer.model_validate(parts)


@pytest.mark.parametrize("question", [SUICIDE, PILLS])
async def test_without_rows_about_the_danger_nothing_is_quoted(
    running: RunApp, settings: Settings, indexed: None, question: str
) -> None:
    async with running(with_safety(settings, country="US")) as client:
        answer = await ask(client, question)
    assert answer.risk.level.needs_notice
    assert answer.risk_notice is not None
    assert "911" in [one.call for one in answer.risk_notice.helplines]
    assert len(answer.sources) == len(ROWS)
    assert "“" not in answer.answer
    assert "No sentence is quoted" in answer.answer
    assert (answer.model, answer.grounded) == ("extractive", False)


@pytest.mark.parametrize("question", [SUICIDE, PILLS])
async def test_quotes_come_from_rows_about_the_danger_and_are_about_safety(
    running: RunApp, settings: Settings, indexed_with_suicide: None, question: str
) -> None:
    async with running(settings) as client:
        answer = await ask(client, question)
    quotes = re.findall(r"“(.*?)” \[(\d+)\]", answer.answer)
    assert [quote for quote, _ in quotes] == ["Stay with her, and go to the emergency room of a hospital tonight."]
    assert answer.sources[int(quotes[0][1]) - 1].question == ABOUT_SUICIDE[0]
    assert not [words for words in FORBIDDEN if words in answer.answer]
    assert answer.risk_notice is not None
    assert "SAFETY_COUNTRY" in (answer.risk_notice.helplines_note or "")


async def test_unsafe_advice_is_quoted_nowhere(running: RunApp, settings: Settings, indexed: None) -> None:
    async with running(settings) as client:
        answer = await ask(client, SLEEP)
    assert not answer.risk.level.needs_notice
    assert "“Keep the same hours each day.”" in answer.answer
    assert not [words for words in ("Refusing pills", "You said", "Stop taking") if words in answer.answer]
    assert answer.notice == NOTICE


@pytest.mark.parametrize("question", [SUICIDE, PILLS])
async def test_a_model_that_plays_danger_down_is_replaced_by_the_notice(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient, question: str
) -> None:
    stub.reply = "It is fine, tell him to rest."
    with served(with_safety(with_model, country="US")) as url:
        whole = await ask(http, question, url)
        names, answer = await stream(http, question, url)
    assert names == ["risk", "sources", "token", "usage", "done"]
    assert answer.answer == whole.answer
    assert answer.answer.startswith("The language model's suggestion was left out because it contained advice")
    assert "tell him to rest" not in answer.answer
    assert answer.risk_notice is not None
    assert "Read the notice of risk in its place" in answer.answer
    for one in (whole, answer):
        assert (one.model, one.withheld, one.left_out) == ("stub-chat", "unsafe_advice", ["minimising"])
        assert (one.grounded, one.uncited_sentences) == (False, [])
        assert one.usage.total_tokens > 0


async def test_a_model_that_does_not_speak_to_the_danger_is_replaced(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = "Plan a walk in the evening [1]."
    async with running(with_model) as client:
        answer = await ask(client, SUICIDE)
    assert "did not speak to the risk" in answer.answer
    assert "walk" not in answer.answer
    assert (answer.withheld, answer.left_out) == ("risk_not_addressed", [])


async def test_a_model_that_speaks_to_the_danger_is_shown_in_one_piece(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = "Ask about a plan and means first [1]. Make a safety plan, and stay with her [2]."
    with served(with_model) as url:
        names, answer = await stream(http, SUICIDE, url)
    assert names == ["risk", "sources", "token", "usage", "done"]
    assert (answer.answer, answer.withheld, answer.left_out) == (stub.reply, None, [])
    assert answer.grounded
    assert answer.answer_risk.screened


async def test_risk_and_sources_are_sent_while_the_text_is_held_back(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.add_faults(Fault(stall=True, path=CHAT))
    stub.reply = "Make a safety plan. Then stay with her. Then call."
    quick = with_model.model_copy(update={"answers": AnswersSettings(time_limit=30, max_retries=0, heartbeat=0.05)})
    received, released = "", False
    with served(quick) as url:
        headers = {"Accept": "text/event-stream"}
        async with http.stream("POST", url + PATH, json={"question": SUICIDE}, headers=headers) as response:
            async for text in response.aiter_text():
                received += text
                if not released and received.count(": ping\n\n") >= 2:
                    assert re.findall(r"^event: (\w+)$", received, re.MULTILINE) == ["risk", "sources"]
                    released = True
                    stub.release()
    assert released
    assert "event: done" in received


async def test_a_sentence_of_unsafe_advice_is_left_out_and_that_is_said(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = "Keep fixed hours [1]. Stop taking your pills [2]. Write worries down [1]."
    with served(with_model) as url:
        whole = await ask(http, SLEEP, url)
        names, answer = await stream(http, SLEEP, url)
    assert names == ["risk", "sources", "token", "token", "usage", "done"]
    assert answer.answer == whole.answer
    shown, remark = answer.answer.split("\n\n")
    assert shown == "Keep fixed hours [1]. Write worries down [1]."
    assert remark.startswith("One sentence of the language model was left out because it contained advice")
    assert (answer.left_out, answer.withheld, answer.grounded) == (["medication"], None, True)


async def test_a_model_that_speaks_of_danger_that_was_not_noticed_says_so(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = "She told you that she wants to kill herself tonight [1]."
    with served(with_model) as url:
        whole = await ask(http, SLEEP, url)
        _, answer = await stream(http, SLEEP, url)
    assert answer.answer == whole.answer
    assert answer.answer.startswith(stub.reply + "\n\nThis suggestion speaks of a danger that was not noticed")
    assert answer.answer_risk.level.needs_notice
    assert not answer.risk.level.needs_notice


class BrokenScreener(LexiconScreener):
    async def screen(self, texts: Sequence[str]) -> list[Risk]:
        raise RuntimeError("zebra")


@pytest.mark.parametrize("off", [True, False], ids=["switched off", "broken"])
async def test_without_screening_every_answer_says_so_and_rules_of_advice_stay(
    running: RunApp,
    with_model: Settings,
    indexed: None,
    stub: StubOpenAI,
    off: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not off:
        monkeypatch.setattr("rag_api.main.make_screener", lambda **options: BrokenScreener())
        monkeypatch.setattr("rag_api.main.LexiconScreener", BrokenScreener)
    stub.reply = "Keep fixed hours [1]. It is fine, tell him to rest."
    async with running(with_safety(with_model, screening="off" if off else "on")) as client:
        answer = await ask(client, SUICIDE)
        found = (await client.post("/api/v1/search", json={"query": SUICIDE})).json()
        metrics = (await client.get("/metrics")).text
    assert (answer.risk.screened, answer.answer_risk.screened, found["risk"]["screened"]) == (False, False, False)
    assert answer.notice.startswith(NOTICE)
    assert ("switched off" if off else "screening failed") in answer.notice
    assert (answer.risk_notice is None) is (found["risk_notice"] is None) is off
    assert answer.answer.startswith("Keep fixed hours [1].\n\nOne sentence of the language model was left out")
    logged = capsys.readouterr().out
    assert ("risk_screening_off" in logged) is off
    assert ("risk_screening_failed" in logged) is not off
    assert ('mh_risk_screenings_total{level="failed",text="question"}' in metrics) or off
    assert "zebra" not in logged + metrics
    assert "kill" not in logged + metrics


async def test_no_failure_hides_the_notice(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI, statuses: list[int]
) -> None:
    async with running(with_model) as client:
        stub.add_faults(Fault(status=500, path=CHAT))
        no_model = await client.post(PATH, json={"question": SUICIDE})
        statuses += [500] * 2
        no_texts = await client.post(PATH, json={"question": SUICIDE})
        no_hits = await client.post("/api/v1/search", json={"query": SUICIDE})
        stub.add_faults(Fault(status=500, path=CHAT))
        calm = await client.post(PATH, json={"question": SLEEP})
    assert [one.status_code for one in (no_model, no_texts, no_hits, calm)] == [502, 503, 503, 502]
    for one in (no_model, no_texts, no_hits):
        assert one.json()["risk"]["level"] == "acute"
        assert "kill myself" in one.json()["risk_notice"]["summary"]
    assert len(no_model.json()["sources"]) == 3
    assert "risk" not in calm.json()


async def test_a_search_has_the_risk_of_its_query_and_all_hits(
    running: RunApp, settings: Settings, indexed: None
) -> None:
    async with running(with_safety(settings, country="AT,DE")) as client:
        found = (await client.post("/api/v1/search", json={"query": SUICIDE, "limit": 5})).json()
        calm = (await client.post("/api/v1/search", json={"query": "sleep"})).json()
        similar = (await client.get("/api/v1/conversations/1/similar")).json()
    assert found["risk"]["level"] == "acute"
    assert found["risk_notice"]["helplines"][0]["country"] == "AT"
    assert len(found["hits"]) == len(ROWS)
    assert (calm["risk"]["level"], calm["risk"]["screened"], calm["risk_notice"]) == ("none", True, None)
    assert similar["risk"]["screened"] is False


async def test_the_history_has_level_categories_and_what_was_withheld(
    served: ServeApp,
    with_model: Settings,
    indexed: None,
    stub: StubOpenAI,
    http: httpx.AsyncClient,
    conversations_stub: StubConversations,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.reply = "It is fine, tell him to rest."
    before = len(conversations_stub.history)
    with served(with_model) as url:
        answer = await ask(http, SUICIDE, url)
        await eventually(lambda: len(conversations_stub.history) == before + 1)
        metrics = (await http.get(f"{url}/metrics")).text
    entry = conversations_stub.history[-1]
    assert (entry.risk_level, entry.risk_categories) == (answer.risk.level, answer.risk.categories)
    assert (entry.withheld, entry.model, entry.answer) == ("unsafe_advice", "stub-chat", answer.answer)
    assert 'mh_answers_withheld_total{reason="unsafe_advice"}' in metrics
    assert 'mh_risk_categories_total{category="suicide"}' in metrics
    logged = capsys.readouterr().out
    assert "risk_noticed" in logged
    assert "kill" not in logged + metrics
