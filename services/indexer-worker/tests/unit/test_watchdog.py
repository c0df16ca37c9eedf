"""What the watchdog considers a stall, tested check by check without a worker."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from indexer_worker.liveness import watchdog
from indexer_worker.liveness.queue_depth import QueueDepth
from indexer_worker.liveness.watchdog import Watchdog
from indexer_worker.settings import Settings, WorkerSettings
from structlog.testing import capture_logs


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Celery's own state of a worker: its requests, and how many jobs it has started."""
    state = SimpleNamespace(requests={}, reserved_requests=set(), active_requests=set(), all_total_count=[0])
    monkeypatch.setattr(watchdog, "state", state)
    return state


@pytest.fixture
def heartbeat(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat.json"


@pytest.fixture
def dog(heartbeat: Path) -> Watchdog:
    # A worker with these is stalled after 3 s: 20 checks.
    worker = WorkerSettings(hold_time=1, job_timeout=0.5, time_limit=1, heartbeat_file=heartbeat)
    return Watchdog(Settings(worker=worker))


def stalled_after(dog: Watchdog, monkeypatch: pytest.MonkeyPatch, depth: QueueDepth | None, checks: int = 30) -> bool:
    monkeypatch.setattr(dog, "depth", lambda: depth)
    return any(dog.check() for _ in range(checks))


def test_waiting_jobs_and_no_progress_are_a_stall(
    state: Any, dog: Watchdog, heartbeat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not stalled_after(dog, monkeypatch, QueueDepth(1, 0), checks=20)
    assert stalled_after(dog, monkeypatch, QueueDepth(1, 0), checks=3)
    assert json.loads(heartbeat.read_text())["stalled"] > 3


@pytest.mark.parametrize("depth", [QueueDepth(0, 5), None])
def test_no_jobs_or_no_answer_from_redis_is_no_stall(
    state: Any, dog: Watchdog, monkeypatch: pytest.MonkeyPatch, depth: QueueDepth | None
) -> None:
    assert not stalled_after(dog, monkeypatch, depth)


@pytest.mark.parametrize("which", ["reserved_requests", "active_requests"])
def test_a_taken_job_that_never_ends_is_a_stall(
    state: Any, dog: Watchdog, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    getattr(state, which).add("a job")

    assert stalled_after(dog, monkeypatch, QueueDepth(0, 1))


def test_each_job_that_is_begun_starts_the_count_again(
    state: Any, dog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        assert not stalled_after(dog, monkeypatch, QueueDepth(9, 1), checks=15)
        state.all_total_count[0] += 1


def test_the_depth_of_the_queue_is_logged_once_a_minute_while_there_is_any(
    state: Any, dog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as log:
        for depth in (QueueDepth(0, 0), None, QueueDepth(7, 2), QueueDepth(8, 2)):
            stalled_after(dog, monkeypatch, depth, checks=1)

    assert log == [{"event": watchdog.QUEUE_DEPTH, "waiting": 7, "taken": 2, "log_level": "info"}]
