"""The Celery app: `celery -A indexer_worker.celery_app worker`, and `beat`, its clock.

Pools: prefork (the default) or solo. Two clocks at once do no harm: the API gives a run to one worker at a time.
"""

import logging
import warnings
from contextlib import ExitStack
from functools import cache, partial
from typing import Any, Final

import structlog
from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer
from mh_common.jobs import INDEX_QUEUE, RunJob
from mh_common.logging import configure_logging
from mh_common.metrics import remove_stale_metric_files
from mh_common.settings import load_settings
from mh_common.startup import check_in_fork
from mh_common.tracing import start_tracing

from indexer_worker.errors import IndexMismatchError, VectorStoreError
from indexer_worker.liveness.gauges import show_metrics
from indexer_worker.liveness.watchdog import Watchdog
from indexer_worker.preflight import look
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings
from indexer_worker.tasks.crash_counter import CrashCounter
from indexer_worker.tasks.jobs import Work, register_jobs

log = structlog.get_logger(__name__)

WARM_UP_FAILED: Final = "worker_warm_up_failed"
"""A new process could not reach what it needs; its first job tries again."""

PROCESS_READY: Final = "worker_process_ready"
"""A new process has its clients and its model: a job would run at once."""

SERVICE: Final = "indexer-worker"

START_TIMEOUT_S: Final = 60.0
"""Seconds that a new process may take to load its libraries and its model before Celery replaces it."""


def __getattr__(name: str) -> Celery:
    """Make `app` when Celery asks for it, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _app()


@cache
def _app() -> Celery:
    settings = load_settings(Settings)
    runtime = Runtime(settings)
    _connect_first_process(settings)
    _connect_job_processes(settings, runtime)
    return make_app(settings, runtime)


def make_app(settings: Settings, work: Work) -> Celery:
    """Return an app with the jobs, which call `work`."""
    app = Celery("indexer_worker", broker=settings.redis.url, set_as_current=False)
    worker = settings.worker
    app.conf.update(
        task_default_queue=INDEX_QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # Nothing is lost with a process: its job is acknowledged when it is done, and runs again when it died.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_timeout=False,
        task_time_limit=worker.time_limit,
        # A worker takes no more jobs than it has processes, so none waits behind a slow one.
        worker_prefetch_multiplier=1,
        worker_max_memory_per_child=worker.max_memory_kb_per_child,
        worker_proc_alive_timeout=START_TIMEOUT_S,
        # Running jobs finish when Redis goes away. They may run again later, which harms nothing; killed, they would be
        # lost where Redis lost its data.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_consumer=f"{__name__}:LossProofConsumer",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": worker.visibility_timeout,
            # Look for jobs of dead workers every 2 seconds, instead of every 100.
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            # A worker that is killed during such a look leaves its lock behind, by default for 5 minutes. Two that look
            # at once do no harm: each job is put back in one transaction.
            "unacked_mutex_expire": 5,
            # A Redis that accepts and never answers is given up.
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "health_check_interval": 10,
        },
    )
    _schedule(app, settings)
    register_jobs(app, work, worker, CrashCounter(settings.redis))
    return app


def _schedule(app: Celery, settings: Settings) -> None:
    interval = settings.reconcile.interval
    # A message that is not taken before the next one is dropped, so that none pile up while no worker runs.
    options = {"queue": INDEX_QUEUE, "expires": interval}
    app.conf.update(
        beat_schedule={"reconcile": {"task": RunJob.RECONCILE.value, "schedule": interval, "options": options}},
        beat_schedule_filename=str(settings.reconcile.schedule_file),
    )


class LossProofConsumer(Consumer):  # type: ignore[misc] # Celery ships no types
    """Celery's consumer, which survives that Redis goes away while jobs run or wait."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Clean up before a new connection is made.

        Celery 5.7 acknowledges and gives back jobs through the lost connection's channel all the same, which raises
        AttributeError and ends the worker. Here that does nothing: the jobs come back after the visibility timeout.
        """
        if self.task_consumer is not None:
            channel = self.task_consumer.channel
            channel.do_restore = False
            channel.basic_ack = channel.basic_reject = _do_nothing
        super().on_connection_error_after_connected(exc)


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


def _preflight(settings: Settings, *, clock: bool) -> None:
    """Look at what the process needs. Ends it where that fails; the reason stands on standard error already."""
    check_in_fork(partial(look, settings, clock=clock))


def _connect_first_process(settings: Settings) -> None:
    """Say what the process does that starts the others, or, in the solo pool, runs the jobs as well."""
    shown = ExitStack()
    watchdog = Watchdog(settings)

    def configure(**_: Any) -> None:
        configure_logging(settings.log, SERVICE)
        # Celery would say at each lost connection that running jobs are not killed, as chosen in `make_app`.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        # Their lines for each job would repeat ours.
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def preflight(**_: Any) -> None:
        # Before it forks.
        remove_stale_metric_files()
        _preflight(settings, clock=False)

    def preflight_of_clock(**_: Any) -> None:
        _preflight(settings, clock=True)

    def watch(**_: Any) -> None:
        watchdog.start()
        shown.callback(show_metrics(settings))

    def stop_watching(**_: Any) -> None:
        # A warm shutdown takes no jobs although some wait.
        watchdog.stop()

    def stop_showing(**_: Any) -> None:
        shown.close()

    signals.setup_logging.connect(configure, weak=False)
    signals.worker_init.connect(preflight, weak=False)
    signals.beat_init.connect(preflight_of_clock, weak=False)
    signals.worker_ready.connect(watch, weak=False)
    signals.worker_shutting_down.connect(stop_watching, weak=False)
    signals.worker_shutdown.connect(stop_showing, weak=False)


def _connect_job_processes(settings: Settings, runtime: Runtime) -> None:
    """Say what each process does that runs jobs."""
    traces = ExitStack()

    def warm_up(**_: Any) -> None:
        traces.callback(start_tracing(settings.otel, SERVICE))
        try:
            runtime.prepare()
        except (VectorStoreError, IndexMismatchError) as error:
            log.warning(WARM_UP_FAILED, reason=str(error))
        else:
            log.info(PROCESS_READY)

    def close(**_: Any) -> None:
        runtime.close()
        traces.close()

    signals.worker_process_init.connect(warm_up, weak=False)
    signals.worker_process_shutdown.connect(close, weak=False)
    # The solo pool runs jobs in the worker's own process.
    signals.worker_shutdown.connect(close, weak=False)
