"""A worker that is alive but does nothing exits; one that is stopped finishes its jobs; beat sends its messages."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from celery import Celery
from indexer_worker.celery_app import PROCESS_READY
from indexer_worker.liveness import heartbeat, watchdog
from indexer_worker.liveness.queue_depth import QueueDepth
from indexer_worker.settings import ReconcileSettings
from indexer_worker.vector_store.collection import CONVERSATIONS
from indexer_worker.vector_store.repository import MilvusRepository
from mh_common import vector_index as fields
from mh_common.jobs import INDEX_QUEUE, IndexJob
from mh_common.models import IndexOutcome, IndexRunStatus, IndexStatus
from mh_common.units import conversation_unit
from mh_devtools import servers
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.jobs import make_due
from mh_devtools.testing.logs import wait_for_log
from mh_devtools.testing.waiting import wait_until
from pymilvus import AsyncMilvusClient
from redis import Redis

pytestmark = [pytest.mark.slow, pytest.mark.redis]


# Once it is ready and there is a collection, no live worker needs more than these 4.3 seconds for anything.
IMPATIENT = {"WORKER_HOLD_TIME": "0.3", "WORKER_JOB_TIMEOUT": "1.9", "WORKER_TIME_LIMIT": "2"}


@pytest.fixture
def kept_collection(stub_openai: StubOpenAI) -> str:
    return fields.describe("stub", stub_openai.dimension)


@pytest.fixture(autouse=True)
async def collection(milvus: AsyncMilvusClient, stub_openai: StubOpenAI) -> None:
    """The collection, made beforehand: a job that makes it first can need longer than the limits beside other tests."""
    await MilvusRepository(milvus, CONVERSATIONS, model="stub", dimension=stub_openai.dimension, timeout=60).prepare()


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    app = Celery("sender", broker=redis_url, set_as_current=False)
    yield app
    app.close()


def send(app: Celery, *ids: int) -> None:
    app.send_task(IndexJob.CREATED.value, kwargs={"ids": ids}, queue=INDEX_QUEUE)


def looks_well(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "indexer_worker.health"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_worker_that_stopped_consuming_in_silence_ends_and_the_next_one_does_the_job(
    start_worker: servers.StartProcess, app: Celery, conversations: StubIndex, environment: dict[str, str], redis: Redis
) -> None:
    conversations.put(1, "text")
    conversations.put(2, "text")
    worker = start_worker(**IMPATIENT)
    wait_for_log(worker.log, PROCESS_READY)
    send(app, 1)
    wait_until(lambda: conversations.outcomes)
    wait_until(lambda: not redis.hlen("unacked"))
    assert looks_well(environment).returncode == 0

    app.control.cancel_consumer(INDEX_QUEUE, reply=True, timeout=10)
    send(app, 2)

    assert worker.process.wait(60) == watchdog.EXIT_CODE
    assert "worker_stalled" in worker.log.read_text()
    start_worker()
    wait_until(lambda: len(conversations.outcomes) == 2)


def test_a_process_that_is_stopped_before_it_takes_a_job_does_not_hold_it_for_ever(
    start_worker: servers.StartProcess, app: Celery, conversations: StubIndex, redis: Redis
) -> None:
    conversations.put(1, "text")
    conversations.put(2, "text")
    worker = start_worker(**IMPATIENT)
    wait_for_log(worker.log, PROCESS_READY)
    send(app, 1)
    wait_until(lambda: conversations.outcomes)
    wait_until(lambda: not redis.hlen("unacked"))

    (child,) = psutil.Process(worker.process.pid).children()
    child.suspend()
    send(app, 2)

    assert worker.process.wait(60) == watchdog.EXIT_CODE
    # Told to end before the worker did, and gone soon after.
    child.wait(60)
    make_due(redis)
    start_worker()
    wait_until(lambda: len(conversations.outcomes) == 2)


def test_an_idle_worker_and_one_whose_redis_is_away_stay(
    start_worker: servers.StartProcess, environment: dict[str, str], tmp_path: Path
) -> None:
    port = servers.free_port()
    redis = servers.start_redis(tmp_path / "redis", port)
    worker = start_worker(REDIS_URL=f"redis://127.0.0.1:{port}/0", **IMPATIENT)
    heartbeat = Path(environment["WORKER_HEARTBEAT_FILE"])
    wait_until(lambda: heartbeat.exists() and json.loads(heartbeat.read_text())["waiting"] == 0)
    redis.stop()
    wait_until(lambda: json.loads(heartbeat.read_text())["waiting"] is None)
    noted = time.time()
    wait_until(lambda: json.loads(heartbeat.read_text())["at"] > noted + 3)

    assert worker.process.poll() is None
    assert looks_well(environment).returncode == 0


def test_sigterm_lets_the_job_in_flight_end_and_leaves_the_others_to_the_next_worker(
    start_worker: servers.StartProcess, app: Celery, conversations: StubIndex, redis: Redis
) -> None:
    arrived, released = threading.Event(), threading.Event()

    def hold(_: list[int]) -> None:
        arrived.set()
        released.wait(60)

    for key in (1, 2, 3):
        conversations.put(key, "text")
    conversations.after_read = hold
    worker = start_worker()
    for key in (1, 2, 3):
        send(app, key)
    assert arrived.wait(60)

    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in worker.log.read_text())
    assert worker.process.poll() is None
    released.set()

    assert worker.process.wait(60) == 0
    assert [outcome.source_id for outcome in conversations.outcomes] == [1]
    assert redis.llen(INDEX_QUEUE) == 2
    start_worker()
    wait_until(lambda: len(conversations.outcomes) == 3)


def test_beat_sends_a_comparison_that_a_worker_carries_out(
    start_worker: servers.StartProcess,
    conversations: StubIndex,
    environment: dict[str, str],
    redis: Redis,
    tmp_path: Path,
) -> None:
    conversations.put(1, "text")
    conversations.outcomes.append(
        # What the index lost: it says indexed.
        IndexOutcome(**conversation_unit(1)._asdict(), version=1, status=IndexStatus.INDEXED)
    )
    beat = [sys.executable, "-m", "celery", "-A", "indexer_worker.celery_app", "beat"]
    schedulers = [
        servers.start("beat", beat, tmp_path / f"beat-{number}.log", environment | variables)
        for number, variables in enumerate(
            {"RECONCILE_INTERVAL": "1", "RECONCILE_SCHEDULE_FILE": str(tmp_path / f"beat-{number}")}
            for number in range(2)
        )
    ]
    try:
        start_worker()
        wait_until(lambda: conversations.queued)
        wait_until(lambda: sum(run.status is IndexRunStatus.DONE for run in conversations.runs.values()) >= 2)
    finally:
        for scheduler in schedulers:
            scheduler.stop()

    assert set(map(tuple, conversations.queued)) == {(1,)}
    ticking = ReconcileSettings(interval=1, schedule_file=tmp_path / "beat-0")
    assert heartbeat.beat_problem(ticking) is None
    stopped = ticking.model_copy(update={"schedule_file": tmp_path / "none"})
    assert "has not updated its schedule file" in (heartbeat.beat_problem(stopped) or "")


def test_a_job_that_always_crashes_fails_its_row_and_lets_the_others_through(
    start_worker: servers.StartProcess, app: Celery, conversations: StubIndex
) -> None:
    """The stub kills the worker's process whenever the poison row is read."""
    for key in (1, 2):
        conversations.put(key, "text")
    worker = start_worker(WORKER_MAX_DEATHS="1")

    def kill(ids: list[int]) -> None:
        if 2 in ids:
            for child in psutil.Process(worker.process.pid).children():
                os.kill(child.pid, signal.SIGKILL)

    conversations.after_read = kill
    send(app, 1, 2)
    # A start and three more of its process.
    wait_until(lambda: len({outcome.source_id for outcome in conversations.outcomes}) == 2, timeout=200)

    said = {outcome.source_id: outcome for outcome in conversations.outcomes}
    assert {key: outcome.status for key, outcome in said.items()} == {
        1: IndexStatus.INDEXED,
        2: IndexStatus.FAILED,
    }
    assert said[2].reason == "Indexing this conversation alone crashed the worker's process (crashes: 1)"


def test_health_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "heartbeat.json"
    assert "has not written its heartbeat file" in (heartbeat.heartbeat_problem(file) or "")

    heartbeat.write_heartbeat(file, stalled=0, limit=60, pause=3, depth=QueueDepth(5, 1))
    assert heartbeat.heartbeat_problem(file) is None
    assert json.loads(capsys.readouterr().out)["waiting"] == 5

    heartbeat.write_heartbeat(file, stalled=99, limit=60, pause=3, depth=QueueDepth(5, 1))
    assert "no progress for 99 s although jobs are waiting" in (heartbeat.heartbeat_problem(file) or "")

    heartbeat.write_heartbeat(file, stalled=0, limit=60, pause=-99, depth=None)
    assert "last heartbeat is" in (heartbeat.heartbeat_problem(file) or "")


def test_a_heartbeat_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    heartbeat.write_heartbeat(tmp_path / "no" / "such" / "place", stalled=0, limit=60, pause=3, depth=None)
