"""`mh import --undo`, and imports as JSON."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mh_client import NotFoundError
from mh_client.resources import conversations
from mh_common.models import ConversationCreate, Sentiment
from mh_devtools.stubs import platform_stub
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import CallMethod, RunCommand

TAG = "clinic-2026"


@pytest.fixture
def stub(stub: StubPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StubPlatform:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return stub


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.csv"
    rows = "".join(f"q{number},a,pos,neg\n" for number in range(25))
    path.write_text(f"question,answer,question_sentiment,answer_sentiment\n{rows}")
    return path


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let somebody at a terminal answer the question."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    return lambda answer: monkeypatch.setattr(sys, "stdin", Terminal(answer))


def test_an_import_is_taken_back_and_can_be_done_again(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    assert mh("import", file, "--tag", TAG)[0] == 0
    dry = mh("import", "--undo", TAG, "--dry-run")
    assert dry == (0, f"25 conversations of the import {TAG} would be deleted.\n", "")
    code, output, errors = mh("import", "--undo", TAG)
    assert (code, output, len(stub.rows)) == (2, "", 25)
    assert errors == f"mh: 25 conversations of the import {TAG} would be deleted; confirm that with --yes\n"
    code, output, errors = mh("import", "--undo", TAG, "--yes")
    assert (code, output, stub.rows) == (0, f"25 conversations of the import {TAG} deleted.\n", [])
    assert "25 conversations deleted" in errors
    code, output, _ = mh("import", file)
    assert "25 rows added, 0 updated, 0 skipped, 0 rejected." in output
    code, _, errors = mh("import", "--undo", TAG, "--yes")
    assert (code, errors.startswith("mh: 404 Not Found")) == (1, True)


def test_what_was_edited_or_updated_is_kept_and_named(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    stub.rows = [
        ConversationCreate(
            question="q3", answer="a", question_sentiment=Sentiment.NEUTRAL, answer_sentiment=Sentiment.NEUTRAL
        )
    ]
    stub.tags = [None]
    assert mh("import", file, "--tag", TAG, "--on-duplicate", "update")[0] == 0
    stub.edited = {5, 9}
    code, output, _ = mh("import", "--undo", TAG, "-y")
    assert code == 0
    assert output.splitlines() == [
        f"22 conversations of the import {TAG} deleted.",
        "2 conversations kept, edited since: 5, 9. --edited deletes them too.",
        "1 conversation that was there before and that the import updated keeps what it gave it: 1.",
    ]
    code, output, _ = mh("import", "--undo", TAG, "--edited", "--yes")
    assert output.splitlines()[0] == f"2 conversations of the import {TAG} deleted."
    assert [row.question for row in stub.rows] == ["q3"]


def test_the_question_is_asked_at_a_terminal(
    stub: StubPlatform, file: Path, mh: RunCommand, answering: Callable[[str], None]
) -> None:
    mh("import", file, "--tag", TAG)
    answering("n\n")
    code, output, errors = mh("import", "--undo", TAG)
    assert (code, output.strip(), len(stub.rows)) == (1, "", 25)
    assert f"Delete 25 conversations that the import {TAG} added? [y/N]" in errors
    assert "nothing was deleted" in errors
    answering("y\n")
    assert mh("import", "--undo", TAG)[0] == 0
    assert stub.rows == []


def test_results_can_be_printed_as_json(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    stub.refuse = lambda row: "is not wanted" if row.question == "q7" else None
    code, output, _ = mh("import", file, "--tag", TAG, "--json")
    assert code == 1
    assert json.loads(output) == {
        "file": str(file),
        "import_tag": TAG,
        "added": 24,
        "updated": 0,
        "skipped": 0,
        "rejected": 1,
        "rejects": f"{file}.rejects.csv",
        "undo": f"mh import --undo {TAG}",
    }
    output = mh("--url", stub.base_url, "import", file, "--again", "--json")[1]
    assert json.loads(output)["undo"] is None
    assert json.loads(mh("import", "--undo", TAG, "--dry-run", "--json")[1])["remaining"] == 24
    assert json.loads(mh("import", "--undo", TAG, "-y", "--json")[1]) == {
        "deleted": 24,
        "remaining": 0,
        "edited": 0,
        "updated": 0,
        "edited_ids": [],
        "updated_ids": [],
    }


def test_the_way_back_names_the_platform_that_was_named(stub: StubPlatform, file: Path, mh: RunCommand) -> None:
    output = mh("import", file, "--url", stub.base_url, "--tag", TAG)[1]
    assert f"To take this import back: mh --url {stub.base_url} import --undo {TAG}\n" in output


def test_both_clients_take_an_import_back_in_as_many_requests_as_it_needs(
    calling: Callable[..., CallMethod], stub: StubPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_stub, "MAX_BULK_ROWS", 10)
    call = calling(stub.base_url)
    rows = [
        {"question": f"q{number}", "answer": "a", "question_sentiment": "pos", "answer_sentiment": "neg"}
        for number in range(25)
    ]
    ids = call("conversations.bulk_create", rows, import_tag=TAG)
    assert call("conversations.bulk_create", rows[3:5], on_duplicate="skip") == ids[3:5]
    assert call("conversations.undo_import", TAG, dry_run=True).remaining == 25
    undone = call("conversations.undo_import", TAG)
    assert (undone.deleted, undone.remaining, stub.rows) == (25, 0, [])
    with pytest.raises(NotFoundError):
        call("conversations.undo_import", TAG)
    assert conversations.undo_piece(TAG).headers["Idempotency-Key"]
