"""The worker as it is deployed, a process of its own, on a real Redis and Milvus Lite; and what a kill costs."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from celery import Celery
from indexer_worker.celery_app import PROCESS_READY, make_app
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings
from kombu.transport.redis import Mutex
from mh_common import vector_index as fields
from mh_common.jobs import INDEX_QUEUE, IndexJob
from mh_common.settings import RedisSettings
from mh_devtools import servers
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.testing.jobs import make_due
from mh_devtools.testing.logs import json_lines, wait_for_log
from mh_devtools.testing.waiting import wait_until
from pymilvus import MilvusClient
from redis import Redis

pytestmark = [pytest.mark.slow, pytest.mark.redis]

# A process that hangs is noticed after these; the worker itself counts as stalled much later.
HANGS = {"WORKER_HOLD_TIME": "60", "WORKER_JOB_TIMEOUT": "2.5", "WORKER_TIME_LIMIT": "3"}
Send = Callable[..., None]


@pytest.fixture
def send(redis_url: str) -> Send:
    return lambda *ids: send_to(redis_url, *ids)


def send_to(redis_url: str, *ids: int) -> None:
    app = Celery("sender", broker=redis_url, set_as_current=False)
    app.send_task(IndexJob.CREATED.value, kwargs={"ids": ids}, queue=INDEX_QUEUE)
    app.close()


def lines(worker: servers.Running, event: str) -> list[dict[str, object]]:
    return [line for line in json_lines(worker.log.read_text()) if line["event"] == event]


@contextmanager
def job_at_work(conversations: StubIndex, send: Send) -> Iterator[None]:
    """Send a job for conversation 1; within the block its read has arrived and is not answered."""
    arrived, released = threading.Event(), threading.Event()

    def hold(_: list[int]) -> None:
        arrived.set()
        released.wait(60)

    conversations.after_read = hold
    send(1)
    assert arrived.wait(60)
    yield
    conversations.after_read = lambda ids: None
    released.set()


def indexed_versions(uri: str) -> dict[int, int]:
    client = MilvusClient(uri, dedicated=True)
    try:
        rows = client.query(
            fields.COLLECTION, filter=f"{fields.ID} > 0", output_fields=[fields.VERSION], consistency_level="Strong"
        )
        return {row[fields.ID]: row[fields.VERSION] for row in rows}
    finally:
        client.close()


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_jobs_are_done_and_logged_and_sigterm_ends_the_worker(
    start_worker: servers.StartProcess,
    send: Send,
    redis: Redis,
    conversations: StubIndex,
    empty_milvus_uri: str,
    pool: str,
) -> None:
    conversations.put(1, "How do I sleep better?")
    conversations.put(2, "How do I sleep better?")

    worker = start_worker("--pool", pool)
    send(1, 2)
    wait_until(lambda: len(conversations.outcomes) == 2)
    wait_until(lambda: not redis.hlen("unacked"))
    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(60) == 0
    assert indexed_versions(empty_milvus_uri) == {1: 1, 2: 1}
    (done,) = lines(worker, "index_job_done")
    assert (done["rows"], done["job"], done["service"]) == (2, IndexJob.CREATED, "indexer-worker")
    assert done["job_id"]
    assert "sleep better" not in worker.log.read_text()


def test_a_job_whose_process_is_killed_runs_again(
    start_worker: servers.StartProcess, send: Send, conversations: StubIndex, empty_milvus_uri: str
) -> None:
    conversations.put(1, "text")
    worker = start_worker()

    with job_at_work(conversations, send):
        _pool_process(worker).kill()
    wait_until(lambda: conversations.outcomes)

    assert len(conversations.reads) >= 2
    assert indexed_versions(empty_milvus_uri) == {1: 1}


def _pool_process(worker: servers.Running) -> psutil.Process:
    (child,) = psutil.Process(worker.process.pid).children()
    return child


def test_a_job_whose_worker_is_killed_runs_in_the_next_worker(
    start_worker: servers.StartProcess, send: Send, redis: Redis, conversations: StubIndex, empty_milvus_uri: str
) -> None:
    conversations.put(1, "text")
    worker = start_worker()

    with job_at_work(conversations, send):
        os.killpg(worker.process.pid, signal.SIGKILL)
    make_due(redis)
    start_worker()
    wait_until(lambda: conversations.outcomes)

    assert len(conversations.reads) >= 2
    assert indexed_versions(empty_milvus_uri) == {1: 1}


def test_a_worker_that_is_killed_while_it_looks_for_lost_jobs_holds_the_others_off_for_seconds(
    redis: Redis, redis_url: str
) -> None:
    app = make_app(Settings(redis=RedisSettings(url=redis_url)), Runtime(Settings()))
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        # What kombu does around each look.
        with Mutex(channel.client, channel.unacked_mutex_key, channel.unacked_mutex_expire):
            seconds = redis.ttl(channel.unacked_mutex_key)

    assert 0 <= seconds <= 5


def test_a_process_that_hangs_is_killed_and_its_job_runs_again(
    start_worker: servers.StartProcess, send: Send, conversations: StubIndex, empty_milvus_uri: str
) -> None:
    conversations.put(1, "text")
    worker = start_worker(**HANGS)
    wait_for_log(worker.log, PROCESS_READY)

    with job_at_work(conversations, send):
        stuck = _pool_process(worker)
        stuck.suspend()
    wait_until(lambda: conversations.outcomes)

    assert not stuck.is_running()
    assert indexed_versions(empty_milvus_uri) == {1: 1}


def test_a_redis_that_goes_away_during_a_job_costs_neither_the_job_nor_the_worker(
    start_worker: servers.StartProcess, conversations: StubIndex, empty_milvus_uri: str, tmp_path: Path
) -> None:
    conversations.put(1, "text")
    conversations.put(2, "text")
    port = servers.free_port()
    url = f"redis://127.0.0.1:{port}/0"
    redis = servers.start_redis(tmp_path / "redis", port)
    try:
        worker = start_worker(REDIS_URL=url)
        with job_at_work(conversations, partial(send_to, url)):
            redis.stop()
            wait_until(lambda: "Connection to broker lost" in worker.log.read_text())
        redis = servers.start_redis(tmp_path / "redis", port)
        wait_until(lambda: conversations.outcomes)
        send_to(url, 2)
        wait_until(lambda: len(conversations.outcomes) == 2)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(60) == 0
    finally:
        redis.stop()

    assert indexed_versions(empty_milvus_uri) == {1: 1, 2: 1}
    assert "Traceback" not in worker.log.read_text()
