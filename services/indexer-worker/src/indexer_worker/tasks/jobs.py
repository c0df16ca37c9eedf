"""The Celery jobs: how their arguments are validated, and what happens when their work cannot be done now."""

import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

import structlog
from celery import Celery, Task
from celery.exceptions import Retry
from mh_common.jobs import IndexJob, RunJob, job_arguments, job_units
from mh_common.models import IndexRunKind
from mh_common.retries import Backoff
from mh_common.units import UnitKey
from pydantic import ValidationError

from indexer_worker import metrics
from indexer_worker.errors import JobTimeoutError
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.settings import WorkerSettings
from indexer_worker.tasks.crash_counter import CrashCounter
from indexer_worker.tasks.retries import Arguments, Attempt

log = structlog.get_logger(__name__)

JOB_DONE: Final = "index_job_done"
JOB_REFUSED: Final = "index_job_refused"
"""The message is not a valid job; it is dropped."""
JOB_SPLIT: Final = "index_job_split"
"""The job repeatedly crashed its process; its units are split into two smaller jobs."""
ROW_GIVEN_UP: Final = "index_row_given_up"
"""A job with this unit alone repeatedly crashed its process; the unit is marked as failed."""

FIRST_RETRY_CEILING_S: Final = 1.0
CRASHES_TO_SPLIT: Final = 2
"""A single crash can have an external cause, such as a machine going down or somebody killing the process."""


class Work(Protocol):
    """The work behind the jobs, done by `Runtime`. Every method can raise IndexingError and IndexMismatchError."""

    def index(self, units: Sequence[UnitKey]) -> None:
        """Update the index for these units, which are of one kind."""
        ...

    def give_up(self, unit: UnitKey, reason: str) -> None:
        """Mark a unit as failed."""
        ...

    def add_run(self, kind: IndexRunKind) -> int:
        """Add a run and return its id."""
        ...

    def run_step(self, checkpoint: RunCheckpoint, attempts: int, crashes: int) -> RunCheckpoint | None:
        """Execute one step of a run; return the next checkpoint, or None if nothing is left to do."""
        ...


def register_jobs(app: Celery, work: Work, settings: WorkerSettings, crash_counter: CrashCounter) -> None:
    """Register the jobs with the app.

    All index jobs do the same: they read the current rows, so it does not matter how those were changed.
    """
    backoff = Backoff(base_s=FIRST_RETRY_CEILING_S, ceiling_s=settings.max_retry_delay)

    def index(
        task: Task, ids: object = None, kind: object = None, units: object = None, not_before: float = 0.0
    ) -> None:
        """Index units.

        `ids`, or `kind` and `units`: see `job_units`. `not_before`: Unix time in seconds, set by the worker itself.
        """
        arguments = {"ids": ids, "kind": kind, "units": units}
        with structlog.contextvars.bound_contextvars(job_id=task.request.id, job=task.name):
            attempt = Attempt(task, settings.hold_time, backoff)
            _IndexAttempt(attempt, work, settings.max_deaths).run(arguments, not_before, crash_counter, task.request.id)

    def run_step(task: Task, run_id: object = None, step: object = None, not_before: float = 0.0) -> None:
        """Execute a step of a run.

        `run_id`: the run; None: add one. `step` (a checkpoint) and `not_before` are set by the worker itself.
        """
        with structlog.contextvars.bound_contextvars(job_id=task.request.id, job=task.name):
            attempt = Attempt(task, settings.hold_time, backoff)
            _RunAttempt(attempt, work, _KINDS[RunJob(task.name)]).run(
                run_id, step, not_before, crash_counter, task.request.id
            )

    # Not shared: other Celery apps in this process, such as a publisher, must not have these tasks.
    for job in IndexJob:
        app.task(index, bind=True, name=job.value, shared=False)
    for run_job in RunJob:
        app.task(run_step, bind=True, name=run_job.value, shared=False)
    metrics.initialize_counters([*IndexJob, *RunJob])


_KINDS: Final = {RunJob.RECONCILE: IndexRunKind.RECONCILE, RunJob.REBUILD: IndexRunKind.REBUILD}


class _IndexAttempt:
    """One attempt at an index job."""

    def __init__(self, attempt: Attempt, work: Work, max_deaths: int) -> None:
        self._attempt = attempt
        self._work = work
        self._max_deaths = max_deaths

    def run(self, arguments: Arguments, not_before: float, crash_counter: CrashCounter, job_id: str) -> None:
        try:
            units = job_units(arguments)
        except ValidationError as error:
            self._attempt.record_outcome("refused")
            log.error(JOB_REFUSED, faults=error.error_count())
            return
        self._attempt.wait_until(not_before, job_arguments(units))
        with crash_counter.count(job_id) as crashes, self._attempt.measured():
            if crashes >= CRASHES_TO_SPLIT and len(units) > 1:
                self._split(units, crashes)
            started = time.monotonic()
            try:
                self._index_or_give_up(units, crashes)
            except Exception as error:  # whatever it is, no row may be lost
                remaining = list(getattr(error, "remaining", None) or units)
                parts = _halves(remaining) if isinstance(error, JobTimeoutError) else [remaining]
                self._attempt.retry_later(error, *(job_arguments(part) for part in parts), rows=len(remaining))
            self._attempt.record_outcome("done")
            log.info(JOB_DONE, rows=len(units), seconds=round(time.monotonic() - started, 3))

    def _split(self, units: list[UnitKey], crashes: int) -> None:
        self._attempt.record_outcome("split")
        log.error(JOB_SPLIT, rows=len(units), crashes=crashes)
        for part in _halves(units):
            self._attempt.enqueue(job_arguments(part))
        raise Retry(when=0)

    def _index_or_give_up(self, units: list[UnitKey], crashes: int) -> None:
        if len(units) > 1 or crashes < self._max_deaths:
            self._work.index(units)
            return
        unit = units[0]
        log.error(ROW_GIVEN_UP, **unit._asdict(), crashes=crashes)
        reason = f"Indexing this {unit.kind} alone crashed the worker's process (crashes: {crashes})"
        self._work.give_up(unit, reason)


def _halves(units: list[UnitKey]) -> list[list[UnitKey]]:
    middle = len(units) // 2
    return [part for part in (units[:middle], units[middle:]) if part]


class _RunAttempt:
    """One attempt at a step of a run."""

    def __init__(self, attempt: Attempt, work: Work, kind: IndexRunKind) -> None:
        self._attempt = attempt
        self._work = work
        self._kind = kind

    def run(self, run_id: object, step: object, not_before: float, crash_counter: CrashCounter, job_id: str) -> None:
        try:
            checkpoint = self._checkpoint(run_id, step, job_id)
        except ValidationError as error:
            self._attempt.record_outcome("refused")
            log.error(JOB_REFUSED, faults=error.error_count())
            return
        arguments = {} if checkpoint is None else _arguments(checkpoint)
        self._attempt.wait_until(not_before, arguments)
        with crash_counter.count(job_id) as crashes, self._attempt.measured():
            try:
                if checkpoint is None:
                    checkpoint = RunCheckpoint(run_id=self._work.add_run(self._kind), owner=job_id)
                    arguments = _arguments(checkpoint)
                following = self._work.run_step(checkpoint, self._attempt.number, crashes)
            except Exception as error:  # a run must not be dropped: it would stay in the status running
                self._attempt.retry_later(error, arguments)
            if following is not None:
                self._attempt.enqueue(_arguments(following))
            self._attempt.record_outcome("done")

    @staticmethod
    def _checkpoint(run_id: object, step: object, job_id: str) -> RunCheckpoint | None:
        if step is not None:
            return RunCheckpoint.model_validate(step)
        # A redelivered message has the same job id, so that the job is not locked out by its own lease.
        return None if run_id is None else RunCheckpoint.model_validate({"run_id": run_id, "owner": job_id})


def _arguments(checkpoint: RunCheckpoint) -> dict[str, Any]:
    return {"run_id": checkpoint.run_id, "step": checkpoint.model_dump(mode="json")}
