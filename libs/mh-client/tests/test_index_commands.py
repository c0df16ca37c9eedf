"""The commands of `mh index`."""

import json
from datetime import UTC, datetime
from functools import partial

import pytest
from mh_client import IndexRunKind, IndexRunStatus, IndexState, IndexStatus, Sentiment, _index_commands
from mh_common.models import ConversationCreate
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand
from mh_devtools.testing.runs import queued_run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUEUED = queued_run(7, NOW)
RUNNING = QUEUED.model_copy(update={"status": IndexRunStatus.RUNNING, "started_at": NOW, "checked": 2})
DONE = RUNNING.model_copy(
    update={"status": IndexRunStatus.DONE, "finished_at": NOW, "checked": 3512, "stale": 2, "repaired": 2}
)
FAILED = RUNNING.model_copy(update={"status": IndexRunStatus.FAILED, "reason": "The index cannot be reached."})
ROW = ConversationCreate(
    question="q", answer="a", question_sentiment=Sentiment.NEUTRAL, answer_sentiment=Sentiment.NEUTRAL
)


@pytest.fixture
def stub(stub: StubPlatform, monkeypatch: pytest.MonkeyPatch) -> StubPlatform:
    monkeypatch.setattr(_index_commands, "POLL_SECONDS", 0.001)
    stub.rows = [ROW] * 5
    stub.failures = [failed(key) for key in (11, 12, 13)]
    return stub


def failed(key: int) -> IndexState:
    return IndexState(
        conversation_id=key,
        status=IndexStatus.FAILED,
        version=2,
        indexed_version=1,
        reason="The embedder refused the text.\x1b[31m",
        attempts=1,
        queued_at=NOW,
        indexed_at=NOW,
        lag_seconds=1.5,
    )


@pytest.fixture
def mh(mh: RunCommand) -> RunCommand:
    return partial(mh, "index")


def test_status_is_a_table_or_json(stub: StubPlatform, mh: RunCommand) -> None:
    code, output, _ = mh("status")
    assert code == 0
    lines = [line.split() for line in output.splitlines()]
    assert ["indexed", "2"] in lines
    assert ["failed", "3"] in lines
    assert "3 failed: The embedder refused the text." in output
    assert "\x1b" not in output
    assert json.loads(mh("status", "--json")[1])["total"] == 5


def test_failures_are_listed_over_all_pages_up_to_the_limit(stub: StubPlatform, mh: RunCommand) -> None:
    _, output, _ = mh("failures")
    assert [line.split(",")[0] for line in output.splitlines()[:3]] == [f"conversation {key}" for key in (11, 12, 13)]
    assert output.splitlines()[3] == "3 failed."
    assert "There are more" in mh("failures", "--limit", 2)[1]
    page = json.loads(mh("failures", "--limit", 2, "--json")[1])
    assert ([item["conversation_id"] for item in page["items"]], page["next_cursor"]) == ([11, 12], "12")
    stub.failures = []
    assert json.loads(mh("failures", "--json")[1]) == {"items": [], "next_cursor": None}


def test_retry_prints_how_many_it_queued(stub: StubPlatform, mh: RunCommand) -> None:
    assert mh("retry") == (0, "3 conversations queued.\n", "")
    assert json.loads(mh("retry", "--json")[1]) == {"queued": 0}


def test_sync_sends_its_options_and_returns_at_once(stub: StubPlatform, mh: RunCommand) -> None:
    stub.runs = [QUEUED]
    assert mh("sync", "--since", "2026-03-01", "--force") == (0, "Run 7 (reconcile) is queued.\n", "")
    assert stub.queries == [{"since": "2026-03-01T00:00:00Z", "force": True}]
    assert json.loads(mh("sync", "--json")[1])["id"] == 7


def test_waiting_for_a_run_shows_it_until_it_is_done(stub: StubPlatform, mh: RunCommand) -> None:
    # None: the platform is down for longer than the client itself retries.
    stub.runs = [QUEUED, QUEUED, None, None, None, None, RUNNING, DONE]
    code, output, errors = mh("sync", "--wait")
    counts = "3,512 checked, 0 missing, 2 stale, 0 orphaned, 2 repaired"
    assert (code, output) == (0, f"Run 7 (reconcile) is done: {counts}\n")
    assert "reconcile run 7: waiting for its turn" in errors
    assert errors.splitlines()[-1] == f"reconcile run 7: {counts}"


def test_a_failed_run_is_reported_with_its_reason_and_exit_code_1(stub: StubPlatform, mh: RunCommand) -> None:
    stub.runs = [RUNNING.model_copy(update={"kind": IndexRunKind.REBUILD}), FAILED]
    code, output, _ = mh("rebuild", "--wait")
    assert (code, output) == (1, "Run 7 (reconcile) failed: The index cannot be reached.\n")


def test_a_stalled_run_is_reported(stub: StubPlatform, mh: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_index_commands, "STALL_WARNING_SECONDS", 0.0)
    stub.runs = [RUNNING, RUNNING, RUNNING, DONE]
    code, _, errors = mh("sync", "--wait")
    assert code == 0
    assert "is the indexer worker running?" in errors


def test_ctrl_c_does_not_stop_the_run(stub: StubPlatform, mh: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mh_client._index_commands.time.sleep", interrupted)
    stub.runs = [QUEUED]
    code, _, errors = mh("sync", "--wait")
    assert code == 130
    assert errors.splitlines()[-1] == "mh: stopped waiting; run 7 continues."
