"""`mh review` and `mh versions`, and the calls of both clients that they are made of."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import respx
from mh_client import InvalidInputError, PreconditionFailedError
from mh_devtools.testing.fixtures import CallMethod, RunCommand

API = "http://api.test/api/v1/conversations"
ROW = {
    "id": 7,
    "version": 3,
    "created_at": "2026-03-01T00:00:00Z",
    "updated_at": "2026-03-01T00:00:00Z",
    "question": "How do I sleep?",
    "answer": "At the same hour.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
    "index_status": "pending",
    "review_state": "approved",
    "origin": "import",
}
VERSION = {
    "version": 2,
    "changed_at": "2026-03-01T09:30:00Z",
    "changed_by": 4,
    "question": "How do I\nsleep? \x1b[31m",
    "answer": "At another hour.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
    "source_url": None,
    "source_date": None,
    "category": "sleep",
    "author": None,
}


@pytest.fixture(autouse=True)
def _platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MH_URL", "http://api.test")


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


@respx.mock
def test_several_are_reviewed_at_once(mh: RunCommand) -> None:
    route = respx.post(f"{API}/bulk-review").respond(json={"found": 2, "changed": 1})
    assert mh("review", "approved", 7, 8, 7) == (0, "2 approved; 1 of them had another state before.\n", "")
    assert sent(route) == {"review_state": "approved", "ids": [7, 8]}
    code, _, errors = mh("review", "rejected", 7, 8, 9)
    assert (code, errors) == (1, "mh: 1 of 3 do not exist\n")
    assert mh("review", "perfect", 7)[0] == 2
    assert mh("review", "approved", 7, 8, "--if-version", 2)[0] == 2
    assert route.call_count == 2


@respx.mock
def test_one_is_reviewed_as_it_was_read(mh: RunCommand) -> None:
    route = respx.put(f"{API}/7/review").respond(json=ROW)
    assert mh("review", "approved", 7, "--if-version", 3) == (0, "conversation 7: approved\n", "")
    assert (sent(route), route.calls.last.request.headers["If-Match"]) == ({"review_state": "approved"}, '"3"')
    route.respond(412)
    assert mh("review", "approved", 7, "--if-version", 2)[0] == 1


@respx.mock
def test_versions_are_listed_read_and_restored(mh: RunCommand) -> None:
    listed = respx.get(f"{API}/7/versions").respond(json={"items": [VERSION], "next_cursor": "2"})
    printed = "version 2, 2026-03-01 09:30 by account 4\n"
    assert mh("versions", "list", 7, "--limit", 1) == (
        0,
        f"{printed}  Q: How do I sleep? [31m\n  A: At another hour.\nThere are more: --cursor 2\n",
        "",
    )
    assert dict(listed.calls.last.request.url.params) == {"limit": "1"}
    respx.get(f"{API}/7/versions/2").respond(json=VERSION)
    assert mh("versions", "get", 7, 2)[1] == (
        f"{printed}Q (negative): How do I\nsleep? [31m\nA (neutral): At another hour.\ncategory: sleep\n"
    )
    assert json.loads(mh("versions", "get", 7, 2, "--json")[1])["changed_by"] == 4
    restored = respx.post(f"{API}/7/versions/2/restore").respond(json=ROW)
    code, output, _ = mh("versions", "restore", 7, 2, "--if-version", 2)
    assert (code, output.splitlines()[0]) == (0, "conversation 7, version 3, pending in the search index")
    assert restored.calls.last.request.headers["If-Match"] == '"2"'


@respx.mock
def test_both_clients_review_and_restore(calling: Callable[..., CallMethod]) -> None:
    call = calling("http://api.test")
    respx.put(f"{API}/7/review").respond(json=ROW)
    respx.post(f"{API}/bulk-review").respond(json={"found": 1, "changed": 0})
    respx.get(f"{API}/7/versions").respond(json={"items": [VERSION], "next_cursor": None})
    respx.get(f"{API}/7/versions/2").respond(json=VERSION)
    respx.post(f"{API}/7/versions/2/restore").respond(412)
    assert call("conversations.review", 7, "approved").review_state == "approved"
    assert call("conversations.bulk_review", [7], "approved").found == 1
    assert [one.version for one in call("conversations.versions", 7).items] == [2]
    assert call("conversations.version", 7, 2).category == "sleep"
    with pytest.raises(PreconditionFailedError):
        call("conversations.restore", 7, 2, if_match=1)
    with pytest.raises(InvalidInputError):
        call("conversations.bulk_review", [], "approved")
