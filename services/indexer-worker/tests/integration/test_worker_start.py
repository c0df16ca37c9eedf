"""What prevents the worker from starting, what does not, and how it reports that."""

import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.jobs import INDEX_QUEUE, IndexJob
from mh_common.models import IndexStatus
from mh_devtools import servers
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.testing.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.redis]


def last_line(worker: servers.Running) -> str:
    """Celery's warning about running as root may come first."""
    return worker.log.read_text().splitlines()[-1]


def test_a_milvus_that_is_away_at_a_start_that_does_not_look_is_waited_for(
    start_worker: servers.StartProcess, redis_url: str, conversations: StubIndex, tmp_path: Path
) -> None:
    conversations.put(1, "text")
    port = servers.free_port()
    worker = start_worker(MILVUS_URI=f"http://127.0.0.1:{port}", STARTUP_TIMEOUT="0")
    app = Celery("sender", broker=redis_url, set_as_current=False)
    app.send_task(IndexJob.CREATED.value, kwargs={"ids": 1}, queue=INDEX_QUEUE)
    app.close()
    wait_until(lambda: "index_job_postponed" in worker.log.read_text())

    milvus = servers.start_milvus_lite(tmp_path / "late.db", port)
    try:
        wait_until(lambda: conversations.outcomes)

        assert conversations.outcomes[0].status is IndexStatus.INDEXED
        assert "The indexer worker starts, but its jobs will be postponed: Milvus" in worker.log.read_text()
        assert "Traceback" not in worker.log.read_text()
    finally:
        milvus.stop()


def test_a_worker_whose_key_is_refused_says_so_and_its_jobs_wait_until_it_is_accepted(
    start_worker: servers.StartProcess, redis_url: str, conversations: StubIndex, tmp_path: Path
) -> None:
    conversations.service_key = make_token(TokenKind.SERVICE_KEY)
    conversations.put(1, "text")
    key, file = make_token(TokenKind.SERVICE_KEY), tmp_path / "key"
    file.write_text(f"{key}\n")
    worker = start_worker(MH_SERVICE_KEY_FILE=str(file))
    app = Celery("sender", broker=redis_url, set_as_current=False)
    app.send_task(IndexJob.CREATED.value, kwargs={"ids": 1}, queue=INDEX_QUEUE)
    app.close()
    wait_until(lambda: "index_job_postponed" in worker.log.read_text())
    assert conversations.reads == []

    conversations.service_key = key
    wait_until(lambda: conversations.outcomes)

    assert conversations.outcomes[0].status is IndexStatus.INDEXED
    log = worker.log.read_text()
    refused = (
        "The conversations API refuses this worker's key; set MH_SERVICE_KEY, or MH_SERVICE_KEY_FILE, to the same key"
    )
    assert f"The indexer worker starts, but its jobs will be postponed: {refused}" in log
    [postponed, *_] = [line for line in log.splitlines() if "index_job_postponed" in line]
    assert refused in postponed
    assert key not in log
    assert "Traceback" not in log


def test_a_mismatched_collection_postpones_jobs_and_says_what_to_do(
    environment: dict[str, str], start_worker: servers.StartProcess, conversations: StubIndex, redis_url: str
) -> None:
    preflight = [sys.executable, "-m", "indexer_worker.preflight"]
    subprocess.run(preflight, env=environment, check=True, timeout=60)
    conversations.put(1, "text")

    worker = start_worker(EMBEDDING_DIMENSION="8")
    app = Celery("sender", broker=redis_url, set_as_current=False)
    app.send_task(IndexJob.CREATED.value, kwargs={"ids": 1}, queue=INDEX_QUEUE)
    app.close()
    wait_until(lambda: worker.log.read_text().count("index_mismatch") >= 2)

    log = worker.log.read_text()
    assert (
        "The indexer worker starts, but its jobs will be postponed: The Milvus collection mental_health_embeddings"
        in log
    )
    assert (
        "contains 'embedding=stub;dimension=1536;schema=7' (missing or different fields: embedding, text_embedding)"
        in log
    )
    assert "needs 'embedding=stub;dimension=8;schema=7'" in log
    assert "mh index rebuild" in log
    assert conversations.outcomes == []


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"WORKER_TIME_LIMIT": "-1"}, "Invalid settings. WORKER_TIME_LIMIT: "),
        ({"METRICS_PORT": "9100"}, "Invalid settings. METRICS: METRICS_PORT needs PROMETHEUS_"),
        ({"MH_SERVICE_KEY": "mh_svc_short"}, "Invalid settings. MH_SERVICE_KEY: must be a whole service key"),
        ({"EMBEDDING_DIMENSION": ""}, "The indexer worker cannot start. Set EMBEDDING_DIMENSION"),
        (
            {"EMBEDDING_BASE_URL": "http://tei.example/v1"},
            "The indexer worker cannot start. Texts may not be sent to the embedding server at tei.example: set "
            "EMBEDDING_DATA_EGRESS=allowed",
        ),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    start_worker: servers.StartProcess, variables: dict[str, str], reason: str
) -> None:
    worker = start_worker(**variables)

    assert worker.process.wait(30) == 1
    assert last_line(worker).startswith(reason)
