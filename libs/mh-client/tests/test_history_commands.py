"""The commands of `mh history`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from mh_client import Feedback, HistoryEntry, HistoryHit, Rating
from mh_devtools.stubs.records_stub import StubRecords
from mh_devtools.testing.fixtures import RunCommand

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(number: int, **fields: Any) -> HistoryEntry:
    values: dict[str, Any] = {
        "answer_id": UUID(int=number),
        "user_id": "alice",
        "question": f"Question {number} \x1b[31m of a patient",
        "hits": [HistoryHit(id=7, version=2, score=0.5)],
        "answer": "Rise at the same hour [1].",
        "model": "stub-chat",
        "latency_ms": 1234.5,
        "created_at": NOW + timedelta(minutes=number),
    }
    return HistoryEntry(**(values | fields))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubRecords]:
    monkeypatch.delenv("MH_USER", raising=False)
    with StubRecords.running() as running:
        monkeypatch.setenv("MH_URL", running.base_url)
        rated = Feedback(rating=Rating.UP, comment="Good.", at=NOW)
        running.entries = [
            entry(1, standalone_query="sleep", filters={"question_sentiment": ["negative"]}, feedback=rated),
            entry(2, user_id="bob"),
            entry(3),
            entry(4),
        ]
        yield running


@pytest.fixture
def mh(mh: RunCommand) -> RunCommand:
    return partial(mh, "history")


def test_a_users_questions_are_listed_newest_first(
    stub: StubRecords, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output, _ = mh("list", "--user", "alice")
    lines = output.splitlines()
    assert (code, lines[0], lines[1]) == (0, f"{UUID(int=4)}  2026-03-01 12:04", "  Question 4 [31m of a patient")
    assert (lines[2].split()[0], lines[4]) == (str(UUID(int=3)), "There are more: --cursor 2")
    lines = mh("list", "--user", "alice", "--cursor", 2)[1].splitlines()
    assert lines[0] == f"{UUID(int=1)}  2026-03-01 12:01  [up]"
    assert len(lines) == 2
    monkeypatch.setenv("MH_USER", "bob")
    assert [item["user_id"] for item in json.loads(mh("list", "--json")[1])["items"]] == ["bob"]
    monkeypatch.setenv("MH_USER", "nobody")
    assert mh("list")[1] == "The history is empty.\n"


def test_a_list_needs_a_user(stub: StubRecords, mh: RunCommand) -> None:
    code, _, errors = mh("list")
    assert code == 2
    assert "MH_USER" in errors


def test_whoever_is_signed_in_needs_no_user(stub: StubRecords, mh: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MH_API_KEY", "mh_key_1")
    stub.entries = [entry(1, user_id=None), entry(2)]
    assert mh("list")[1].splitlines()[0].startswith(str(UUID(int=1)))
    assert mh("delete", "--all") == (0, "1 deleted.\n", "")


def test_an_entry_is_shown_in_full(stub: StubRecords, mh: RunCommand) -> None:
    code, output, _ = mh("show", UUID(int=1), "--user", "alice")
    assert code == 0
    for part in ("Question 1", "sleep", "negative", "[1].", "stub-chat, 1,234 ms", "conversation 7", "up Good."):
        assert part in output
    assert "\x1b" not in output
    assert json.loads(mh("show", UUID(int=1), "--user", "alice", "--json")[1])["feedback"]["comment"] == "Good."
    code, _, errors = mh("show", UUID(int=1), "--user", "bob")
    assert (code, "404" in errors) == (1, True)
    assert mh("show", "17")[0] == 2


def test_one_entry_is_deleted_or_all(stub: StubRecords, mh: RunCommand) -> None:
    assert mh("delete", UUID(int=3), "--user", "alice") == (0, "Deleted.\n", "")
    assert mh("delete", "--all", "--user", "alice") == (0, "2 deleted.\n", "")
    assert [left.user_id for left in stub.entries] == ["bob"]


@pytest.mark.parametrize("args", [[], ["--all"], [UUID(int=2), "--all", "--user", "bob"], ["--user", "bob"]])
def test_what_to_delete_must_be_unambiguous(stub: StubRecords, mh: RunCommand, args: list[Any]) -> None:
    code, _, errors = mh("delete", *args)
    assert code == 2
    assert "give an answer id, or --all with --user" in errors
    assert len(stub.entries) == 4
