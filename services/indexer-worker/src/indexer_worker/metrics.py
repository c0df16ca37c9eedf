"""The metrics of the jobs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

from mh_common.metrics import FAST_BUCKETS, SLOW_BUCKETS, Counter, Histogram
from mh_common.models import IndexRunKind, IndexRunStatus, RunCounts
from mh_common.tracing import span

JobOutcome = Literal["done", "postponed", "mismatch", "crashed", "split", "refused", "not_requeued"]

JOBS: Final = Counter("mh_jobs_total", "Job attempts, by Celery task and outcome.", ("task", "outcome"))
JOB_SECONDS: Final = Histogram(
    "mh_job_duration_seconds",
    "Duration of a job attempt, excluding time in the queue.",
    ("task",),
    buckets=SLOW_BUCKETS,
)
ROWS: Final = Counter(
    "mh_index_rows_total",
    "Rows written to the index (indexed), permanently rejected by the embedder or Milvus (failed), or deleted from it.",
    ("outcome",),
)
MILVUS_SECONDS: Final = Histogram(
    "mh_milvus_write_duration_seconds", "Duration of a write to Milvus.", ("operation",), buckets=FAST_BUCKETS
)
RUNS: Final = Counter(
    "mh_index_runs_total", "Finished runs over the whole index, by kind and outcome.", ("kind", "outcome")
)
FOUND: Final = Counter(
    "mh_index_run_rows_total",
    "Rows that runs checked; that they found missing, stale or orphaned; and that they repaired: queued or, in a "
    "rebuild, wrote.",
    ("kind", "finding"),
)


def initialize_counters(jobs: Iterable[str]) -> None:
    """Export every counter of these jobs and of runs as 0 from the start, so that the first event is an increase."""
    for job in jobs:
        for outcome in get_args(JobOutcome):
            JOBS.labels(job, outcome)
    for kind in IndexRunKind:
        for status in (IndexRunStatus.DONE, IndexRunStatus.FAILED):
            RUNS.labels(kind.value, status.value)
        for finding in RunCounts.model_fields:
            FOUND.labels(kind.value, finding)


def count_job(job: str, outcome: JobOutcome) -> None:
    """Count a job attempt."""
    JOBS.labels(job, outcome).inc()


@contextmanager
def milvus_write(operation: Literal["upsert", "delete"], rows: int) -> Iterator[None]:
    """Record the block as one write to Milvus, in metrics and traces."""
    with span(f"milvus {operation}", "client", mh_rows=rows), MILVUS_SECONDS.labels(operation).time():
        yield


def count_rows(indexed: int = 0, failed: int = 0, deleted: int = 0) -> None:
    """Count the outcomes of a job's rows."""
    for outcome, number in (("indexed", indexed), ("failed", failed), ("deleted", deleted)):
        ROWS.labels(outcome).inc(number)


def count_run(kind: IndexRunKind, status: IndexRunStatus) -> None:
    """Count a finished run."""
    RUNS.labels(kind.value, status.value).inc()


def count_found(kind: IndexRunKind, before: RunCounts, after: RunCounts) -> None:
    """Count what a step of a run found, given the run's counts before and after the step."""
    previous = before.model_dump()
    for finding, number in after.model_dump().items():
        FOUND.labels(kind.value, finding).inc(number - previous[finding])
