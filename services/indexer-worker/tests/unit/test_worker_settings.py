import pytest
from indexer_worker.settings import Settings, WorkerSettings
from mh_common.settings import load_settings


def test_a_job_of_a_dead_worker_comes_back_only_after_a_live_one_would_have_ended_it() -> None:
    worker = WorkerSettings(hold_time=5, job_timeout=10, time_limit=20)

    assert worker.visibility_timeout > worker.hold_time + worker.time_limit


def test_limits_in_the_wrong_order_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_JOB_TIMEOUT", "60")
    monkeypatch.setenv("WORKER_TIME_LIMIT", "30")

    with pytest.raises(SystemExit, match="WORKER_JOB_TIMEOUT must be below WORKER_TIME_LIMIT") as stop:
        load_settings(Settings)

    assert "\n" not in str(stop.value)
