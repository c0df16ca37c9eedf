"""The Celery jobs: what a message may hold, and what becomes of it when its work cannot be done now."""

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
from indexer_worker.maintenance.checkpoints import Checkpoint
from indexer_worker.settings import WorkerSettings
from indexer_worker.tasks.crash_counter import CrashCounter
from indexer_worker.tasks.retries import Arguments, Attempt

log = structlog.get_logger(__name__)

JOB_DONE: Final = "index_job_done"
JOB_REFUSED: Final = "index_job_refused"
"""The message was not a job of ours; it is dropped."""
JOB_SPLIT: Final = "index_job_split"
"""The job's process died again and again; its units go on in two smaller jobs."""
ROW_GIVEN_UP: Final = "index_row_given_up"
"""A unit's job, alone, ended its process again and again; it is marked as failed."""

FIRST_RETRY_CEILING_S: Final = 1.0
DEATHS_TO_SPLIT: Final = 2
"""One death can come from outside: a machine that goes down, somebody who ends the process."""


class Work(Protocol):
    """What the jobs do; see `Runtime`, which does it. Every method can raise IndexingError and IndexMismatchError."""

    def index(self, units: Sequence[UnitKey]) -> None:
        """Bring the index in step with these units, which are of one kind."""
        ...

    def give_up(self, unit: UnitKey, reason: str) -> None:
        """Mark a unit as failed."""
        ...

    def add_run(self, kind: IndexRunKind) -> int:
        """Return the id of a run to carry out."""
        ...

    def carry_on(self, checkpoint: Checkpoint, attempts: int, deaths: int) -> Checkpoint | None:
        """Do one step of a run and return the next."""
        ...


def register_jobs(app: Celery, work: Work, settings: WorkerSettings, crashes: CrashCounter) -> None:
    """Add the jobs to the app.

    Those about units do the same: the present rows are read again, so it does not matter what happened to them.
    """
    backoff = Backoff(base_s=FIRST_RETRY_CEILING_S, ceiling_s=settings.max_retry_delay)

    def index(
        task: Task, ids: object = None, kind: object = None, units: object = None, not_before: float = 0.0
    ) -> None:
        """`ids`, or `kind` and `units`: see `job_units`. `not_before`: seconds since 1970; the worker's own."""
        arguments = {"ids": ids, "kind": kind, "units": units}
        with structlog.contextvars.bound_contextvars(job_id=task.request.id, job=task.name):
            attempt = Attempt(task, settings.hold_time, backoff)
            _IndexAttempt(attempt, work, settings.max_deaths).run(arguments, not_before, crashes, task.request.id)

    def carry_on(task: Task, run_id: object = None, step: object = None, not_before: float = 0.0) -> None:
        """`run_id`: the run; none: add one. `step`, `not_before`: the worker's own, for what follows."""
        with structlog.contextvars.bound_contextvars(job_id=task.request.id, job=task.name):
            attempt = Attempt(task, settings.hold_time, backoff)
            _RunAttempt(attempt, work, _KINDS[RunJob(task.name)]).run(
                run_id, step, not_before, crashes, task.request.id
            )

    # Not shared: other Celery apps of this process, a publisher say, have no such tasks.
    for job in IndexJob:
        app.task(index, bind=True, name=job.value, shared=False)
    for run_job in RunJob:
        app.task(carry_on, bind=True, name=run_job.value, shared=False)
    metrics.show_jobs([*IndexJob, *RunJob])


_KINDS: Final = {RunJob.RECONCILE: IndexRunKind.RECONCILE, RunJob.REBUILD: IndexRunKind.REBUILD}


class _IndexAttempt:
    """One attempt at a job about units."""

    def __init__(self, attempt: Attempt, work: Work, max_deaths: int) -> None:
        self._attempt = attempt
        self._work = work
        self._max_deaths = max_deaths

    def run(self, arguments: Arguments, not_before: float, crashes: CrashCounter, job_id: str) -> None:
        try:
            wanted = job_units(arguments)
        except ValidationError as error:
            self._attempt.ended("refused")
            log.error(JOB_REFUSED, faults=error.error_count())
            return
        self._attempt.wait_until(not_before, job_arguments(wanted))
        with crashes.counted(job_id) as deaths, self._attempt.measured():
            if deaths >= DEATHS_TO_SPLIT and len(wanted) > 1:
                self._split(wanted, deaths)
            started = time.monotonic()
            try:
                self._do(wanted, deaths)
            except Exception as error:  # whatever it is, no row may be forgotten
                left = list(getattr(error, "left", None) or wanted)
                parts = _halves(left) if isinstance(error, JobTimeoutError) else [left]
                self._attempt.failed(error, *(job_arguments(part) for part in parts), rows=len(left))
            self._attempt.ended("done")
            log.info(JOB_DONE, rows=len(wanted), seconds=round(time.monotonic() - started, 3))

    def _split(self, units: list[UnitKey], deaths: int) -> None:
        self._attempt.ended("split")
        log.error(JOB_SPLIT, rows=len(units), deaths=deaths)
        for part in _halves(units):
            self._attempt.queue(job_arguments(part))
        raise Retry(when=0)

    def _do(self, units: list[UnitKey], deaths: int) -> None:
        if len(units) > 1 or deaths < self._max_deaths:
            self._work.index(units)
            return
        unit = units[0]
        log.error(ROW_GIVEN_UP, **unit._asdict(), deaths=deaths)
        reason = f"The worker's process died while it indexed this {unit.kind} alone (deaths: {deaths})"
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

    def run(self, run_id: object, step: object, not_before: float, crashes: CrashCounter, job_id: str) -> None:
        try:
            present = self._checkpoint(run_id, step, job_id)
        except ValidationError as error:
            self._attempt.ended("refused")
            log.error(JOB_REFUSED, faults=error.error_count())
            return
        arguments = {} if present is None else _arguments(present)
        self._attempt.wait_until(not_before, arguments)
        with crashes.counted(job_id) as deaths, self._attempt.measured():
            try:
                if present is None:
                    present = Checkpoint(run_id=self._work.add_run(self._kind), owner=job_id)
                    arguments = _arguments(present)
                following = self._work.carry_on(present, self._attempt.number, deaths)
            except Exception as error:  # a run that is forgotten would be reported as running
                self._attempt.failed(error, arguments)
            if following is not None:
                self._attempt.queue(_arguments(following))
            self._attempt.ended("done")

    @staticmethod
    def _checkpoint(run_id: object, step: object, job_id: str) -> Checkpoint | None:
        if step is not None:
            return Checkpoint.model_validate(step)
        # The job's id stays the same when the message comes again, so that its lease is not in its own way.
        return None if run_id is None else Checkpoint.model_validate({"run_id": run_id, "owner": job_id})


def _arguments(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"run_id": checkpoint.run_id, "step": checkpoint.model_dump(mode="json")}
