"""What the jobs do, in numbers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

from mh_common.metrics import FAST_BUCKETS, SLOW_BUCKETS, Counter, Histogram
from mh_common.models import IndexRunKind, IndexRunStatus, RunCounts
from mh_common.tracing import span

JobOutcome = Literal["done", "postponed", "mismatch", "crashed", "split", "refused", "not_requeued"]

JOBS: Final = Counter("mh_jobs_total", "Attempts at jobs, by Celery task and by how they ended.", ("task", "outcome"))
JOB_SECONDS: Final = Histogram(
    "mh_job_duration_seconds",
    "Time of an attempt at a job, without its wait in the queue.",
    ("task",),
    buckets=SLOW_BUCKETS,
)
ROWS: Final = Counter(
    "mh_index_rows_total",
    "Conversations written to the index, refused by the embedder or Milvus for good, or deleted from it.",
    ("outcome",),
)
MILVUS_SECONDS: Final = Histogram(
    "mh_milvus_write_duration_seconds", "Time of a write to Milvus.", ("operation",), buckets=FAST_BUCKETS
)
RUNS: Final = Counter("mh_index_runs_total", "Runs over the whole index that ended.", ("kind", "outcome"))
FOUND: Final = Counter(
    "mh_index_run_rows_total",
    "Conversations that runs checked, and what they found: missing, stale, orphaned; and repaired, which is queued or, "
    "by a rebuild, written.",
    ("kind", "finding"),
)


def show_jobs(jobs: Iterable[str]) -> None:
    """Let every count of these jobs, and of runs, be seen from 0 on: the first of anything shall be a rise."""
    for job in jobs:
        for outcome in get_args(JobOutcome):
            JOBS.labels(job, outcome)
    for kind in IndexRunKind:
        for status in (IndexRunStatus.DONE, IndexRunStatus.FAILED):
            RUNS.labels(kind.value, status.value)
        for finding in RunCounts.model_fields:
            FOUND.labels(kind.value, finding)


def count_job(job: str, outcome: JobOutcome) -> None:
    """Count an attempt at a job."""
    JOBS.labels(job, outcome).inc()


@contextmanager
def milvus_write(operation: Literal["upsert", "delete"], rows: int) -> Iterator[None]:
    """Measure the block as one write to Milvus."""
    with span(f"milvus {operation}", "client", mh_rows=rows), MILVUS_SECONDS.labels(operation).time():
        yield


def count_rows(indexed: int = 0, failed: int = 0, deleted: int = 0) -> None:
    """Count what became of a job's conversations."""
    for outcome, number in (("indexed", indexed), ("failed", failed), ("deleted", deleted)):
        ROWS.labels(outcome).inc(number)


def count_run(kind: IndexRunKind, status: IndexRunStatus) -> None:
    """Count a run that ended."""
    RUNS.labels(kind.value, status.value).inc()


def count_found(kind: IndexRunKind, before: RunCounts, after: RunCounts) -> None:
    """Count what a step of a run found, from the run's counts before and after it."""
    known = before.model_dump()
    for finding, number in after.model_dump().items():
        FOUND.labels(kind.value, finding).inc(number - known[finding])
