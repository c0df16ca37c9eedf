"""Metrics of a service with several processes, which write their values to one folder."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from mh_common import metrics
from mh_devtools import servers
from mh_devtools.testing.exposition import metric_value

REQUEST = "from mh_common.web.metrics import observe_request as o; o('GET', '/a', 200, 0.5); o('GET', '/a', 500, 0.5)"
SHOW = "from mh_common.metrics import exposition; print(exposition().decode())"
FORGET = "from mh_common.metrics import remove_stale_metric_files as f; f()"


def run(folder: Path, program: str) -> str:
    """Run a process of the service until it exits, and return its output."""
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, text=True, env={**os.environ, metrics.FOLDER_VARIABLE: str(folder)})


def test_every_process_exposes_the_sum_including_exited_ones(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "by it"
    for _ in range(2):
        run(folder, REQUEST)
    text = run(folder, f"{REQUEST}\n{SHOW}")
    assert metric_value(text, "mh_http_requests_total", route="/a", status="200") == 3
    assert metric_value(text, "mh_http_requests_total", route="/a") == 6
    assert metric_value(text, "mh_http_request_duration_seconds_sum", route="/a") == 3.0


def test_a_new_run_starts_at_zero(tmp_path: Path) -> None:
    run(tmp_path, REQUEST)
    text = run(tmp_path, f"{FORGET}\n{REQUEST}\n{FORGET}\n{SHOW}")
    assert metric_value(text, "mh_http_requests_total", route="/a") == 2


def test_a_process_without_metrics_creates_no_file(tmp_path: Path) -> None:
    # A health check runs twice a minute for the lifetime of the worker, each time in a new process.
    run(tmp_path, "import indexer_worker.health")
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_served_until_the_server_is_stopped() -> None:
    port = servers.free_port()
    stop = metrics.serve("127.0.0.1", port)
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
    with pytest.raises(OSError, match="in use"):
        metrics.serve("127.0.0.1", port)
    stop()
    assert answer.status_code == 200
    assert "python_info" in answer.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
