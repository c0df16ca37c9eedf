"""The output of `mh ask`."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from mh_client import HistoryEntry, RiskNotice, SentMessage, SentTexts
from mh_common.models import CheckedSentence, Doubt, SentenceSupport
from mh_devtools.stubs.platform_stub import ACUTE, StubPlatform
from mh_devtools.testing.fixtures import RunCommand

ANSWER = UUID(int=7)
SOURCES = "Sources (extractive):\n[1] conversation 7, score 0.750: How do I sleep?\n"


@pytest.fixture
def ask(mh: RunCommand) -> RunCommand:
    return partial(mh, "ask")


def test_the_answer_is_printed_with_its_sources(stub: StubPlatform, ask: RunCommand) -> None:
    assert ask("bus", "--top-k", "2") == (0, f"At the same hour [1].\n\n{SOURCES}", "")
    assert stub.queries == [{"question": "bus", "top_k": 2}]
    assert json.loads(ask("bus", "--json")[1])["model"] == "extractive"


def test_a_notice_is_printed_before_anything_else(stub: StubPlatform, ask: RunCommand) -> None:
    stub.noticed = ACUTE
    hint = f"Is the notice not relevant? mh feedback {ANSWER} --notice not-relevant\n"
    expected = f"{ACUTE.as_text()}\n\nAt the same hour [1].\n\n{SOURCES}\n{hint}"
    assert ask("He wants to take them all tonight") == (0, expected, "")
    answer = json.loads(ask("He wants to take them all tonight", "--json")[1])
    assert list(answer)[:2] == ["risk", "risk_notice"]
    assert (answer["risk"]["level"], answer["risk_notice"]["questions"][1]) == ("acute", "Means: what is within reach?")


def test_a_notice_comes_before_an_error(stub: StubPlatform, ask: RunCommand) -> None:
    stub.noticed = ACUTE
    code, output, errors = ask("too much", "--json")
    assert (code, output) == (3, "")
    assert errors.startswith(f"{ACUTE.as_text()}\n\nmh: the platform is unavailable")


def test_a_notice_is_framed_on_a_terminal(stub: StubPlatform, ask: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stub.noticed = ACUTE.model_copy(update={"risk_notice": RiskNotice(summary="A\x1b[2J!", questions=[], helplines=[])})
    output = ask("He wants to take them all tonight")[1]
    assert "\x1b[2J" not in output
    top, notice, bottom, blank, answer = re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines()[:5]
    assert (top[:3], bottom[:3], blank, answer) == ("╭──", "╰──", "", "At the same hour [1].")
    assert notice.strip("│ ") == "[Notice] A[2J!"


def test_what_was_not_screened_is_said(stub: StubPlatform, ask: RunCommand) -> None:
    stub.noticed = None
    assert ask("bus")[1].startswith("[Notice] This question was not screened for risk.")
    assert json.loads(ask("bus", "--json")[1])["risk"]["screened"] is False


def test_what_was_sent_is_shown_to_those_who_ask(stub: StubPlatform, ask: RunCommand) -> None:
    asked = ("bus", "--show-sent")
    nothing = "Nothing was sent to a server: search and answer were made within the platform.\n"
    assert ask(*asked) == (0, f"At the same hour [1].\n\n{SOURCES}\n{nothing}", "")
    assert stub.queries == [{"question": "bus", "top_k": 3, "show_sent": True}]
    user = SentMessage(role="user", content="[PERSON_1]\x1b[31m?")
    messages = [SentMessage(role="system", content="You help."), user]
    stub.sent = [SentTexts(recipient="api.openai.com", remote=True, model="gpt", messages=messages)]
    shown = ask(*asked)[1].partition(SOURCES)[2]
    assert shown == "\nSent to api.openai.com (gpt):\n--- system ---\nYou help.\n--- user ---\n[PERSON_1][31m?\n"
    assert json.loads(ask(*asked, "--json")[1])["sent"][0]["recipient"] == "api.openai.com"
    assert ask("bus")[1] == f"At the same hour [1].\n\n{SOURCES}"
    stub.sent = None
    assert ask(*asked)[1].endswith("This platform does not tell what it sends.\n")


def test_sentences_without_a_source_are_listed(stub: StubPlatform, ask: RunCommand) -> None:
    stub.uncited = ["Be \x1b[31mkind."]
    expected = f"At the same hour [1].\n\nSentences without a source:\n- Be [31mkind.\n\n{SOURCES}"
    assert ask("bus") == (0, expected, "")


def test_control_characters_are_removed(stub: StubPlatform, ask: RunCommand) -> None:
    stub.tokens = ["At \x1b[31m", "\x07night."]
    assert ask("bus")[1].startswith("At [31mnight.\n")


def test_an_interrupted_answer_is_reported_on_its_own_line(stub: StubPlatform, ask: RunCommand) -> None:
    stub.stream_end = ""
    code, output, errors = ask("bus")
    assert (code, output) == (3, "At the same hour\n")
    assert errors.startswith(
        "mh: POST /api/v1/answers was disconnected before the end of the answer, which is incomplete"
    )
    assert errors.count("\n") == 1


def test_text_is_printed_as_it_is_streamed(stub: StubPlatform) -> None:
    stub.stream_pauses = True
    command = [sys.executable, "-m", "mh_client.cli", "ask", "bus"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # The stub continues only after this was read.
        assert process.stdout.read(len("At the same hour")) == "At the same hour"
        stub.stream_pauses = False
        assert process.stdout.read() == f" [1].\n\n{SOURCES}"
    assert process.returncode == 0


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("MH_USER", raising=False)
    return tmp_path


def entry(question: str, answer: str) -> HistoryEntry:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return HistoryEntry(
        answer_id=ANSWER, question=question, answer=answer, model="extractive", latency_ms=1, created_at=at
    )


def test_a_thread_follows_up_for_a_user(stub: StubPlatform, ask: RunCommand, state: Path) -> None:
    assert ask("bus", "--thread", "exam", "--user", "carol")[0] == 0
    assert "conversation_history" not in stub.queries[-1]
    stub.answered = {ANSWER: entry("bus", "x" * 9000)}
    stub.noticed = ACUTE
    assert ask("and trains?", "--thread", "exam", "--user", "carol")[1].startswith(f"{ACUTE.as_text()}\n\nAt")
    assert stub.queries[-1]["conversation_history"] == [
        {"role": "user", "content": "bus"},
        {"role": "assistant", "content": "x" * 8000},
    ]
    assert stub.users == ["carol"] * 3
    assert ask("school", "--thread", "other")[0] == 0
    assert "conversation_history" not in stub.queries[-1]
    # Texts of patients stay on the platform.
    assert "bus" not in (state / "mh" / "threads" / "exam.json").read_text()


def test_a_long_thread_takes_the_latest_turns(stub: StubPlatform, ask: RunCommand, state: Path) -> None:
    stub.answered = {ANSWER: entry("q" * 7000, "a" * 7000)}
    for _ in range(4):
        assert ask("more", "--thread", "exam")[0] == 0
    assert [len(turn["content"]) for turn in stub.queries[-1]["conversation_history"]] == [7000] * 4


def test_what_is_gone_from_the_history_is_left_out(stub: StubPlatform, ask: RunCommand, state: Path) -> None:
    ask("bus", "--thread", "exam")
    assert ask("trains", "--thread", "exam")[0] == 0
    assert "conversation_history" not in stub.queries[-1]
    stub.answered = None
    code, _, errors = ask("trains", "--thread", "exam")
    assert (code, errors) == (2, "mh: thread: needs the platform's history, which is disabled there\n")


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65])
def test_a_thread_has_a_plain_name(stub: StubPlatform, ask: RunCommand, state: Path, name: str) -> None:
    code, _, errors = ask("bus", "--thread", name)
    assert (code, errors.count("\n")) == (2, 1)
    assert "must be 1 to 64 letters" in errors
    assert stub.queries == []


def test_sentences_to_doubt_are_printed_with_the_reason(stub: StubPlatform, ask: RunCommand) -> None:
    stub.checked = [
        CheckedSentence(text="Rise [1].", support=SentenceSupport.SUPPORTED, cites=[1], supported_by=[1]),
        CheckedSentence(
            text="Wait \x1b[2Jtwo years [1].", support=SentenceSupport.UNSUPPORTED, cites=[1], doubt=Doubt.NUMBER
        ),
        CheckedSentence(text="Schlafen Sie [1].", support=SentenceSupport.NOT_CHECKED, cites=[1]),
    ]
    stub.languages = ("en", "de")
    doubts = (
        "Sentences that their sources do not seem to support; read them there:\n"
        "- Wait [2Jtwo years [1]. (It has a number that is not in its source.)\n\n"
        "Sentences that could not be compared with their sources:\n- Schlafen Sie [1].\n\n"
        "The answer is in German, although the question is in English.\n"
    )
    assert ask("bus") == (0, f"At the same hour [1].\n\n{doubts}\n{SOURCES}", "")
