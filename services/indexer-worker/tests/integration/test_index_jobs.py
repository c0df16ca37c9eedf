"""The jobs in a real Celery worker on a real Redis; what they call is scripted, so that every fault can be had."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import pytest
import structlog
from celery import Celery
from celery.contrib.testing.worker import start_worker
from indexer_worker.celery_app import make_app
from indexer_worker.errors import IndexingError, JobTimeoutError
from indexer_worker.maintenance.checkpoints import Phase, RunCheckpoint
from indexer_worker.settings import Settings, WorkerSettings
from indexer_worker.tasks import jobs, retries
from indexer_worker.tasks.crash_counter import CrashCounter
from mh_common.jobs import INDEX_QUEUE, IndexJob, RunJob, job_arguments
from mh_common.models import IndexRunKind
from mh_common.settings import RedisSettings
from mh_common.units import UnitKey, conversation_units
from mh_devtools.testing.jobs import wait_until_idle
from mh_devtools.testing.waiting import wait_until
from redis import Redis
from structlog.testing import LogCapture

pytestmark = pytest.mark.redis

Log = list[dict[str, object]]

NO_JOBS: list[object] = [[], 0, [0], [-1], [2**63], ["1"], [1.0], True, [True], "1", None, {"1": 2}, list(range(65))]


class ScriptedIndex:
    """Notes what it is called with, and raises what the script says, call by call; then it works."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.units: list[list[UnitKey]] = []
        self.times: list[float] = []
        self.script: list[Exception] = []
        self.jobs: list[object] = []
        self.given_up: list[tuple[int, str]] = []
        self.steps: list[tuple[RunCheckpoint, int, int]] = []
        self.following: list[RunCheckpoint | Exception | None] = []

    def index(self, units: Sequence[UnitKey]) -> None:
        self.units.append(list(units))
        self.calls.append([unit.source_id for unit in units])
        self.times.append(time.time())
        self.jobs.append(structlog.contextvars.get_contextvars().get("job"))
        if self.script:
            raise self.script.pop(0)

    def give_up(self, unit: UnitKey, reason: str) -> None:
        self.given_up.append((unit.source_id, reason))

    def add_run(self, kind: IndexRunKind) -> int:
        return {IndexRunKind.RECONCILE: 100, IndexRunKind.REBUILD: 200}[kind]

    def run_step(self, step: RunCheckpoint, attempts: int, crashes: int) -> RunCheckpoint | None:
        self.steps.append((step, attempts, crashes))
        following = self.following.pop(0) if self.following else None
        if isinstance(following, Exception):
            raise following
        return following


@pytest.fixture
def index() -> ScriptedIndex:
    return ScriptedIndex()


@pytest.fixture(autouse=True)
def log() -> Log:
    """Everything logged, with what the context adds."""
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    return capture.entries  # type: ignore[return-value] # structlog calls the mutable mappings what we call dicts


@contextmanager
def working(redis_url: str, index: ScriptedIndex, **worker: float) -> Iterator[Celery]:
    """Run a worker. Its waits for a next attempt are at most 0.2 s, unless told otherwise."""
    limits = WorkerSettings.model_validate({"max_retry_delay": 0.2} | worker)
    app = make_app(Settings(redis=RedisSettings(url=redis_url), worker=limits), index)
    with start_worker(app, perform_ping_check=False, shutdown_timeout=60):
        yield app
    app.close()


def send(app: Celery, ids: object, job: IndexJob = IndexJob.CREATED) -> None:
    app.send_task(job.value, kwargs={"ids": ids}, queue=INDEX_QUEUE)


def events(log: Log, name: str) -> Log:
    return [entry for entry in log if entry["event"] == name]


def test_each_job_takes_one_id_or_several(redis_url: str, redis: Redis, index: ScriptedIndex) -> None:
    with working(redis_url, index) as app:
        for job in IndexJob:
            send(app, 7, job)
            send(app, [1, 2, 3], job)
        wait_until(lambda: len(index.calls) == 6)
        wait_until_idle(redis)

    assert index.calls == [[7], [1, 2, 3]] * 3
    assert index.jobs == [job.value for job in IndexJob for _ in range(2)]


def test_a_job_about_units_of_another_kind_is_tried_split_and_given_up_as_any_other(
    redis_url: str, redis: Redis, index: ScriptedIndex
) -> None:
    units = [UnitKey("note", 1, 0), UnitKey("note", 1, 1), UnitKey("note", 2, 0)]
    index.script = [IndexingError("busy", remaining=units[:2]), JobTimeoutError("too long")]
    crash_counter = CrashCounter(RedisSettings(url=redis_url))
    for _ in range(5):
        crash_counter.record_start("poison")

    with working(redis_url, index) as app:
        app.send_task(IndexJob.CREATED.value, kwargs=job_arguments(units), queue=INDEX_QUEUE)
        wait_until(lambda: len(index.units) == 4)
        app.send_task(IndexJob.UPDATED.value, kwargs=job_arguments(units[2:]), queue=INDEX_QUEUE, task_id="poison")
        wait_until(lambda: index.given_up)
        wait_until_idle(redis)

    assert index.units[:2] == [units, units[:2]]
    assert sorted(index.units[2:]) == [units[:1], units[1:2]]
    assert index.given_up == [(2, "Indexing this note alone crashed the worker's process (crashes: 5)")]


def test_messages_that_are_no_jobs_are_dropped_and_stop_nothing(
    redis_url: str, redis: Redis, index: ScriptedIndex, log: Log
) -> None:
    with working(redis_url, index) as app:
        for ids in NO_JOBS:
            send(app, ids)
        app.send_task(IndexJob.CREATED.value, kwargs={"foreign": 1}, queue=INDEX_QUEUE)
        app.send_task("ForeignJob", kwargs={"ids": [1]}, queue=INDEX_QUEUE)
        send(app, [1])
        wait_until(lambda: index.calls)
        wait_until_idle(redis)

    assert index.calls == [[1]]
    assert len(events(log, jobs.JOB_REFUSED)) == len(NO_JOBS)


def test_a_job_is_retried_until_it_succeeds(redis_url: str, redis: Redis, index: ScriptedIndex, log: Log) -> None:
    index.script = [IndexingError("Milvus is away"), IndexingError("busy", retry_after=0.1), IndexingError("busy")]

    with working(redis_url, index) as app:
        send(app, [1, 2])
        wait_until(lambda: len(index.calls) == 4)
        wait_until_idle(redis)

    assert index.calls == [[1, 2]] * 4
    postponed = events(log, retries.JOB_POSTPONED)
    assert [entry["attempts"] for entry in postponed] == [1, 2, 3]
    assert postponed[0]["reason"] == "Milvus is away"
    assert postponed[1]["delay"] == pytest.approx(0.1, abs=0.1)
    assert postponed[0]["job_id"]


def test_a_bug_loses_no_row_and_its_message_is_not_logged(
    redis_url: str, redis: Redis, index: ScriptedIndex, log: Log
) -> None:
    index.script = [RuntimeError("I feel so alone")]

    with working(redis_url, index) as app:
        send(app, [1])
        wait_until(lambda: len(index.calls) == 2)
        wait_until_idle(redis)

    (crash,) = events(log, retries.JOB_CRASHED)
    assert crash["error"] == "RuntimeError"
    assert "alone" not in str(log)
    assert "in index" in str(crash["stack"])


def test_a_job_that_takes_too_long_is_split_in_half(redis_url: str, redis: Redis, index: ScriptedIndex) -> None:
    index.script = [JobTimeoutError("too long")]

    with working(redis_url, index) as app:
        send(app, [1, 2, 3])
        wait_until(lambda: len(index.calls) == 3)
        wait_until_idle(redis)

    assert sorted(index.calls) == [[1], [1, 2, 3], [2, 3]]


def test_a_single_row_that_takes_too_long_is_tried_again(redis_url: str, redis: Redis, index: ScriptedIndex) -> None:
    index.script = [JobTimeoutError("too long")]

    with working(redis_url, index) as app:
        send(app, [1])
        wait_until(lambda: len(index.calls) == 2)
        wait_until_idle(redis)

    assert index.calls == [[1], [1]]


def test_a_long_delay_is_split_into_short_ones_without_losing_time(
    redis_url: str, redis: Redis, index: ScriptedIndex, log: Log
) -> None:
    """A worker that holds a job for longer than the visibility timeout has it run twice."""
    index.script = [IndexingError("busy", retry_after=3.0)]
    holds: list[float] = []

    with working(redis_url, index, hold_time=0.5) as app:
        send(app, [1])
        wait_until(lambda: index.calls)
        while len(index.calls) < 2:
            wait_until(lambda: redis.hlen("unacked") or len(index.calls) == 2)
            holds += [_eta(message) - time.time() for message in redis.hvals("unacked")]
        wait_until_idle(redis)

    assert index.times[1] - index.times[0] >= 3.0 - 2 * retries.EARLY_S
    assert max(holds) <= 0.5
    assert len(index.calls) == 2
    assert [entry["attempts"] for entry in events(log, retries.JOB_POSTPONED)] == [1]


def _eta(message: bytes | str) -> float:
    """Return when a job that a worker holds may start, in seconds since 1970; 0 for at once."""
    eta = json.loads(message)[0]["headers"]["eta"]
    return datetime.fromisoformat(eta).timestamp() if eta else 0.0


def test_a_next_attempt_that_cannot_be_queued_leaves_the_message_in_the_queue(
    redis_url: str, redis: Redis, index: ScriptedIndex, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.script = [IndexingError("busy")]
    with working(redis_url, index) as app:
        with monkeypatch.context() as patch:
            patch.setattr(app.tasks[IndexJob.CREATED.value], "apply_async", _no_connection)
            send(app, [1])
            wait_until(lambda: len(index.calls) == 2)
        wait_until_idle(redis)

    assert index.calls == [[1], [1]]
    assert len(events(log, retries.JOB_NOT_REQUEUED)) == 1


def _no_connection(**_: object) -> None:
    raise ConnectionError("Redis is away")


def test_rows_that_are_done_are_not_done_again_with_those_that_are_not(
    redis_url: str, redis: Redis, index: ScriptedIndex
) -> None:
    index.script = [IndexingError("Milvus did not take one", remaining=conversation_units([2]))]

    with working(redis_url, index) as app:
        send(app, [1, 2, 3])
        wait_until(lambda: len(index.calls) == 2)
        wait_until_idle(redis)

    assert index.calls == [[1, 2, 3], [2]]


@pytest.mark.parametrize(
    ("ids", "crashes", "calls"),
    [([1, 2, 3], 1, [[1, 2, 3]]), ([1, 2, 3], 2, [[1], [2, 3]]), ([1], 4, [[1]]), ([1], 5, [])],
)
def test_a_job_that_repeatedly_crashes_its_process_is_split_until_its_poison_row_is_alone(
    redis_url: str, redis: Redis, index: ScriptedIndex, ids: list[int], crashes: int, calls: list[list[int]]
) -> None:
    crash_counter = CrashCounter(RedisSettings(url=redis_url))
    for _ in range(crashes):
        crash_counter.record_start("the job")

    with working(redis_url, index) as app:
        app.send_task(IndexJob.CREATED.value, kwargs={"ids": ids}, queue=INDEX_QUEUE, task_id="the job")
        wait_until(lambda: index.calls or index.given_up)
        wait_until_idle(redis)

    assert sorted(index.calls) == calls
    if not calls:
        assert index.given_up == [(1, "Indexing this conversation alone crashed the worker's process (crashes: 5)")]
    assert redis.keys("indexer-worker:starts:*") == []


def test_a_run_goes_on_step_by_step_under_one_owner(redis_url: str, redis: Redis, index: ScriptedIndex) -> None:
    second = RunCheckpoint(run_id=7, owner="somebody", phase=Phase.COMPARE, after=5000)
    index.following = [second, IndexingError("Milvus is away"), None]

    with working(redis_url, index) as app:
        app.send_task(RunJob.RECONCILE.value, kwargs={"run_id": 7}, queue=INDEX_QUEUE, task_id="first")
        wait_until(lambda: len(index.steps) == 3)
        wait_until_idle(redis)

    assert index.steps == [(RunCheckpoint(run_id=7, owner="first"), 0, 0), (second, 0, 0), (second, 1, 0)]


@pytest.mark.parametrize(("job", "run_id"), [(RunJob.RECONCILE, 100), (RunJob.REBUILD, 200)])
def test_beat_needs_no_run_of_its_own(
    redis_url: str, redis: Redis, index: ScriptedIndex, job: RunJob, run_id: int
) -> None:
    index.following = [IndexingError("Milvus is away")]
    with working(redis_url, index) as app:
        app.send_task(job.value, queue=INDEX_QUEUE, task_id="tick")
        wait_until(lambda: len(index.steps) == 2)
        wait_until_idle(redis)

    # Tried again, it is the same run with the same owner.
    assert [step for step, _, _ in index.steps] == [RunCheckpoint(run_id=run_id, owner="tick")] * 2


def test_messages_that_are_no_runs_are_dropped(redis_url: str, redis: Redis, index: ScriptedIndex, log: Log) -> None:
    bad: list[dict[str, object]] = [{"run_id": 0}, {"run_id": "x"}, {"run_id": 1, "step": {"run_id": 1}}]
    with working(redis_url, index) as app:
        for kwargs in bad:
            app.send_task(RunJob.REBUILD.value, kwargs=kwargs, queue=INDEX_QUEUE)
        send(app, [1])
        wait_until(lambda: index.calls)
        wait_until_idle(redis)

    assert index.steps == []
    assert len(events(log, jobs.JOB_REFUSED)) == len(bad)


def test_jobs_are_done_while_their_starts_cannot_be_counted(
    redis_url: str, redis: Redis, index: ScriptedIndex, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CrashCounter, "_redis", lambda self: Redis(host="127.0.0.1", port=1))
    with working(redis_url, index) as app:
        send(app, [1])
        wait_until(lambda: index.calls)
        wait_until_idle(redis)

    assert events(log, "index_job_starts_not_counted")
