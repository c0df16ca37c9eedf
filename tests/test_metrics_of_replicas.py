"""Every process of a replica exposes the metrics of all its processes."""

import os
import sys
import time
from pathlib import Path

import httpx
import pytest
from mh_devtools import servers
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.waiting import wait_until

pytestmark = pytest.mark.slow

PROCESSES = 2
DURATIONS = "mh_http_request_duration_seconds_count"


def test_any_process_of_a_replica_shows_the_sum(tmp_path: Path) -> None:
    folder, port = tmp_path / "numbers", servers.free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "rag_api.main:create_app", "--workers", str(PROCESSES)]
    replica = servers.start(
        "rag-api",
        [*command, "--port", str(port)],
        tmp_path / "rag-api.log",
        {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder), "OPENAI_API_KEY": "unused", "LOG_LEVEL": "WARNING"},
        tmp_path,
    )

    def shown() -> str:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status().text

    try:
        servers.wait_until(replica, lambda: servers.listens(port), timeout=60)
        sent, deadline = 0, time.monotonic() + 60
        # Each request has its own connection, accepted by any of the processes.
        while len([file for file in folder.glob("counter_*.db") if b"/livez" in file.read_bytes()]) < PROCESSES:
            assert time.monotonic() < deadline, "one process serves everything"
            httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30).raise_for_status()
            sent += 1
        # A request is counted after its response.
        wait_until(lambda: metric_value(shown(), DURATIONS, route="/livez") == sent)
        for _ in range(4):
            text = shown()
            assert metric_value(text, "mh_http_requests_total", route="/livez", status="200") == sent
            assert metric_value(text, DURATIONS, route="/livez") == sent
    finally:
        replica.stop()
