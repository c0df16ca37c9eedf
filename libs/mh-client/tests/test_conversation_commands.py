"""`mh get`, `create`, `edit` and `delete`, and what `mh` says about itself."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import respx
from mh_client import __version__
from mh_devtools.testing.fixtures import RunCommand

API = "http://api.test/api/v1/conversations"
ROW = {
    "id": 7,
    "version": 2,
    "created_at": "2026-03-01T00:00:00Z",
    "updated_at": "2026-03-01T00:00:00Z",
    "question": "How do I\nsleep? \x1b[31m",
    "answer": "At the same hour.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
    "index_status": "indexed",
    "category": "sleep",
}
PRINTED = (
    "conversation 7, version 2, indexed in the search index\nQ (negative): How do I\nsleep? [31m\n"
    "A (neutral): At the same hour.\ncategory: sleep\nreview_state: unreviewed\n"
)


@pytest.fixture(autouse=True)
def _platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MH_URL", "http://api.test")


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


@respx.mock
def test_a_conversation_is_printed(mh: RunCommand) -> None:
    respx.get(f"{API}/7").respond(json=ROW)
    respx.get(f"{API}/8").respond(404)
    assert mh("get", 7) == (0, PRINTED, "")
    assert json.loads(mh("get", 7, "--json")[1])["id"] == 7
    assert mh("get", 8)[::2] == (1, "mh: 404 Not Found\n")


@respx.mock
def test_a_conversation_is_created_with_its_details(mh: RunCommand) -> None:
    route = respx.post(API).respond(201, json=ROW)
    texts = ("--question", "q", "--answer", "=a", "--question-sentiment", "NEG", "--answer-sentiment", 1)
    assert mh("create", *texts, "--category", "sleep", "--source-date", "2021.01.01") == (0, PRINTED, "")
    assert sent(route) == {
        "question": "q",
        "answer": "=a",
        "question_sentiment": "negative",
        "answer_sentiment": "positive",
        "category": "sleep",
        "source_date": "2021-01-01",
    }
    code, _, errors = mh("create", *texts[:-1], "happy")
    assert code == 2
    assert "positive, negative or neutral" in errors
    assert route.call_count == 1


@respx.mock
def test_only_what_is_given_is_edited(mh: RunCommand) -> None:
    route = respx.patch(f"{API}/7").respond(json=ROW)
    edited = mh("edit", 7, "--answer", "b", "--author", "Jane", "--clear", "source-url", "--if-version", 3)
    assert edited == (0, PRINTED, "")
    assert sent(route) == {"answer": "b", "author": "Jane", "source_url": None}
    assert route.calls.last.request.headers["If-Match"] == '"3"'
    code, _, errors = mh("edit", 7)
    assert code == 2
    assert "name at least one field to change" in errors
    code, _, errors = mh("edit", 7, "--clear", "question")
    assert code == 2
    assert "'question' cannot be removed" in errors
    assert route.call_count == 1


@respx.mock
def test_deleting_says_what_did_not_exist(mh: RunCommand) -> None:
    route = respx.post(f"{API}/bulk-delete").respond(json={"deleted": 2})
    assert mh("delete", 7, 8, 7) == (0, "2 deleted.\n", "")
    assert sent(route) == {"ids": [7, 8]}
    assert mh("delete", 7, 8, 9) == (1, "2 deleted.\n", "mh: 1 of 3 did not exist\n")


def test_the_version_is_printed(mh: RunCommand) -> None:
    assert mh("--version") == (0, f"mh {__version__}\n", "")


def test_a_shell_can_complete_commands() -> None:
    asked = {"_MH_COMPLETE": "complete_bash", "COMP_WORDS": "mh im", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "mh_client.cli"]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["import"]
