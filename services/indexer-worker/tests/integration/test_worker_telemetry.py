"""What the jobs count and trace, in a real Celery worker on a real Redis; what they call is scripted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker as start_celery_worker
from indexer_worker.celery_app import make_app
from indexer_worker.errors import IndexingError, IndexMismatchError
from indexer_worker.liveness.gauges import QueueGauges, serve_metrics
from indexer_worker.liveness.queue_depth import JobQueue
from indexer_worker.maintenance.checkpoints import Phase, RunCheckpoint
from indexer_worker.settings import MetricsSettings, Settings, WorkerSettings
from indexer_worker.tasks.crash_counter import CrashCounter
from mh_common import metrics
from mh_common.jobs import INDEX_QUEUE, IndexJob, RunJob
from mh_common.models import IndexRunKind
from mh_common.settings import OtelSettings, RedisSettings
from mh_common.tracing import span, start_tracing
from mh_common.units import UnitKey
from mh_devtools import servers
from mh_devtools.stubs.otlp_stub import StubCollector
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.jobs import wait_until_idle
from mh_devtools.testing.waiting import wait_until
from redis import Redis
from structlog.testing import capture_logs

pytestmark = pytest.mark.redis

TRACE = "7bf92f3577b34da6a3ce929d0e0e4739"
PARENT = "00f067aa0ba902b7"
JOB = IndexJob.UPDATED


class Script:
    """Does what the script says, call by call; then it works."""

    def __init__(self, *script: Exception) -> None:
        self.script = list(script)
        self.steps = 2

    def index(self, units: Sequence[UnitKey]) -> None:
        if self.script:
            raise self.script.pop(0)

    def give_up(self, unit: UnitKey, reason: str) -> None:
        raise AssertionError("not in this script")

    def add_run(self, kind: IndexRunKind) -> int:
        return 1

    def run_step(self, step: RunCheckpoint, attempts: int, crashes: int) -> RunCheckpoint | None:
        self.steps -= 1
        with span("step"):
            return step.with_phase(Phase.COMPARE) if self.steps else None


@contextmanager
def working(redis_url: str, work: Script) -> Iterator[Celery]:
    limits = WorkerSettings(max_retry_delay=0.05)
    app = make_app(Settings(redis=RedisSettings(url=redis_url), worker=limits), work)
    with start_celery_worker(app, perform_ping_check=False):
        yield app
    app.close()


def counted(outcome: str) -> float:
    return metric_value(metrics.exposition().decode(), "mh_jobs_total", task=JOB.value, outcome=outcome)


@pytest.mark.parametrize(
    ("ids", "error", "crashes", "outcomes"),
    [
        ([1], None, 0, {"done": 1}),
        ([1], IndexingError("Milvus is away"), 0, {"postponed": 1, "done": 1}),
        ([1], IndexMismatchError("another model"), 0, {"mismatch": 1, "done": 1}),
        ([1], RuntimeError("a bug"), 0, {"crashed": 1, "done": 1}),
        (["no id"], None, 0, {"refused": 1}),
        ([1, 2], None, 2, {"split": 1, "done": 2}),
    ],
)
def test_each_attempt_is_counted_by_how_it_ended(
    redis_url: str,
    redis: Redis,
    ids: list[int],
    error: Exception | None,
    crashes: int,
    outcomes: dict[str, int],
) -> None:
    crash_counter = CrashCounter(RedisSettings(url=redis_url))
    for _ in range(crashes):
        crash_counter.record_start("the job")
    before = {outcome: counted(outcome) for outcome in outcomes}

    with working(redis_url, Script(*[error] if error else [])) as app:
        app.send_task(JOB.value, kwargs={"ids": ids}, queue=INDEX_QUEUE, task_id="the job")
        wait_until(lambda: {outcome: counted(outcome) - before[outcome] for outcome in outcomes} == outcomes)
        wait_until_idle(redis)


def test_further_attempts_and_steps_stay_in_the_trace_of_what_caused_the_first(redis_url: str, redis: Redis) -> None:
    header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with StubCollector.running() as collector:
        stop = start_tracing(OtelSettings(exporter_otlp_endpoint=collector.base_url), "tests")
        try:
            work = Script(IndexingError("Milvus is away"), IndexingError("Milvus is away"))
            before = counted("done")
            with working(redis_url, work) as app:
                app.send_task(JOB.value, kwargs={"ids": [1]}, queue=INDEX_QUEUE, headers=header)
                app.send_task(RunJob.RECONCILE.value, queue=INDEX_QUEUE)
                wait_until(lambda: counted("done") == before + 1 and not work.steps)
                wait_until_idle(redis)
        finally:
            stop()

    attempts = collector.named(f"job {JOB.value}")
    assert [(one.trace_id, one.parent_id) for one in attempts] == [(TRACE, PARENT)] * 3
    assert sorted((one.attributes["mh.failures"], one.failed) for one in attempts) == [(0, True), (1, True), (2, False)]
    # Nobody caused what beat sends: its first step is the trace's root.
    root, following = sorted(collector.named(f"job {RunJob.RECONCILE.value}"), key=lambda one: one.parent_id)
    assert (root.parent_id, following.parent_id, following.trace_id) == ("", root.span_id, root.trace_id)
    assert [one.parent_id for one in collector.named("step")] == [root.span_id, following.span_id]


def test_the_queue_depth_is_read_once_in_two_seconds(redis_url: str, redis: Redis) -> None:
    now = 100.0
    queue = JobQueue(RedisSettings(url=redis_url))
    gauges = QueueGauges(queue, clock=lambda: now)

    def waiting() -> float:
        text = metrics.exposition(gauges).decode()
        assert metric_value(text, "mh_redis_up") == 1
        return metric_value(text, "mh_queue_waiting")

    assert waiting() == 0
    redis.rpush(INDEX_QUEUE, "{}")
    assert waiting() == 0
    now += 2.1
    assert waiting() == 1
    queue.close()


def test_without_redis_only_its_gauges_are_missing() -> None:
    nowhere = JobQueue(RedisSettings(url=f"redis://127.0.0.1:{servers.free_port()}/0"))
    text = metrics.exposition(QueueGauges(nowhere)).decode()
    assert metric_value(text, "mh_redis_up") == 0
    assert "\nmh_queue_waiting " not in text
    assert "mh_jobs_total" in text


def test_metrics_are_shown_where_the_port_says_and_a_port_that_is_taken_stops_nobody(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.FOLDER_VARIABLE, "for the settings")
    port = servers.free_port()
    settings = Settings(redis=RedisSettings(url=redis_url), metrics=MetricsSettings(port=port))
    monkeypatch.delenv(metrics.FOLDER_VARIABLE)

    stop = serve_metrics(settings)
    try:
        with capture_logs() as logs:
            serve_metrics(settings)()
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    finally:
        stop()
    serve_metrics(Settings(redis=RedisSettings(url=redis_url)))()

    assert metric_value(text, "mh_redis_up") == 1
    assert [(line["event"], line["port"]) for line in logs] == [("metrics_not_shown", port)]
    assert not servers.listens(port)
