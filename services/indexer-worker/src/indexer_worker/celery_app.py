"""The Celery app: `celery -A indexer_worker.celery_app worker`, or `beat` instead of `worker`.

Pools: prefork (the default) or solo. Running beat twice is harmless: the API gives a run to one worker at a time.
"""

import gc
import logging
import warnings
from contextlib import ExitStack
from functools import cache, partial
from importlib import import_module
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
from indexer_worker.liveness.gauges import serve_metrics
from indexer_worker.liveness.watchdog import Watchdog
from indexer_worker.preflight import run_checks
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings
from indexer_worker.tasks.crash_counter import CrashCounter
from indexer_worker.tasks.jobs import Work, register_jobs

log = structlog.get_logger(__name__)

WARM_UP_FAILED: Final = "worker_warm_up_failed"
"""A new process could not reach Milvus, or the collection does not match; its first job tries again."""

PROCESS_READY: Final = "worker_process_ready"
"""A new process has loaded its clients and its model and can start a job immediately."""

SERVICE: Final = "indexer-worker"

SHARED: Final = ("mh_client", "mh_common.advice", "mh_common.risk")
"""What all processes of the worker need and what survives a fork: loaded once, by the one that starts the others."""

START_TIMEOUT_S: Final = 60.0
"""Seconds a new process may take to load its libraries and its model before Celery replaces it."""


def __getattr__(name: str) -> Celery:
    """Create `app` when Celery first accesses it, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _app()


@cache
def _app() -> Celery:
    settings = load_settings(Settings)
    runtime = Runtime(settings)
    _connect_main_process(settings)
    _connect_job_processes(settings, runtime)
    return make_app(settings, runtime)


def make_app(settings: Settings, work: Work) -> Celery:
    """Return an app with the jobs registered; they call `work`."""
    app = Celery("indexer_worker", broker=settings.redis.url, set_as_current=False)
    worker = settings.worker
    app.conf.update(
        task_default_queue=INDEX_QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # A crash loses no job: a job is acknowledged when it is done, and redelivered if its process died.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_timeout=False,
        task_time_limit=worker.time_limit,
        # A worker reserves no more jobs than it has processes, so none waits behind a slow one.
        worker_prefetch_multiplier=1,
        worker_max_memory_per_child=worker.max_memory_kb_per_child,
        worker_proc_alive_timeout=START_TIMEOUT_S,
        # When the connection to Redis is lost, running jobs finish. They may run again later, which is harmless; if
        # they were killed and Redis had lost its data, they would be lost.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_consumer=f"{__name__}:ReconnectingConsumer",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": worker.visibility_timeout,
            # Restore the jobs of dead workers every 2 seconds; the default is 100.
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            # A worker killed while restoring leaves its lock behind, by default for 5 minutes. Two workers restoring at
            # once are harmless: each job is restored in one transaction.
            "unacked_mutex_expire": 5,
            # Give up on a Redis that accepts connections but never answers.
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
    # A message expires when the next one is due, so that they do not pile up while no worker is running.
    options = {"queue": INDEX_QUEUE, "expires": interval}
    app.conf.update(
        beat_schedule={"reconcile": {"task": RunJob.RECONCILE.value, "schedule": interval, "options": options}},
        beat_schedule_filename=str(settings.reconcile.schedule_file),
    )


class ReconnectingConsumer(Consumer):  # type: ignore[misc] # Celery ships no types
    """A Celery consumer that survives losing the connection to Redis while jobs are running or reserved."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Clean up before reconnecting.

        Celery 5.7 still acknowledges and restores jobs through the channel of the lost connection, which raises
        AttributeError and ends the worker. Make that a no-op: the jobs are redelivered after the visibility timeout.
        """
        if self.task_consumer is not None:
            channel = self.task_consumer.channel
            channel.do_restore = False
            channel.basic_ack = channel.basic_reject = _do_nothing
        super().on_connection_error_after_connected(exc)


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


def _preflight(settings: Settings, *, beat: bool) -> None:
    """Run the start-up checks. If they fail, end the process; they have already written the reason to stderr."""
    check_in_fork(partial(run_checks, settings, beat=beat))


def _connect_main_process(settings: Settings) -> None:
    """Connect the signals of the main process, which starts the others or, in the solo pool, also runs the jobs."""
    metrics_server = ExitStack()
    watchdog = Watchdog(settings)

    def configure(**_: Any) -> None:
        configure_logging(settings.log, SERVICE)
        # For each lost connection Celery would warn that running jobs are not killed, which `make_app` chose.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        # Their log lines for each job would duplicate ours.
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def preflight(**_: Any) -> None:
        # Before forking.
        remove_stale_metric_files()
        for name in SHARED:
            import_module(name)
        if settings.safety.screening == "on":
            # Imported late: beat, and commands that ask a running worker, do not screen.
            from mh_common.risk.lexicon import load_lexicon

            load_lexicon()
        # Else the other processes' garbage collections would copy the memory that they share with this one.
        gc.freeze()
        _preflight(settings, beat=False)

    def preflight_of_beat(**_: Any) -> None:
        _preflight(settings, beat=True)

    def start_watchdog(**_: Any) -> None:
        watchdog.start()
        metrics_server.callback(serve_metrics(settings))

    def stop_watchdog(**_: Any) -> None:
        # During a warm shutdown the worker takes no jobs even if some are waiting.
        watchdog.stop()

    def stop_metrics_server(**_: Any) -> None:
        metrics_server.close()

    signals.setup_logging.connect(configure, weak=False)
    signals.worker_init.connect(preflight, weak=False)
    signals.beat_init.connect(preflight_of_beat, weak=False)
    signals.worker_ready.connect(start_watchdog, weak=False)
    signals.worker_shutting_down.connect(stop_watchdog, weak=False)
    signals.worker_shutdown.connect(stop_metrics_server, weak=False)


def _connect_job_processes(settings: Settings, runtime: Runtime) -> None:
    """Connect the signals of the processes that run jobs."""
    tracing = ExitStack()

    def warm_up(**_: Any) -> None:
        tracing.callback(start_tracing(settings.otel, SERVICE))
        try:
            runtime.prepare()
        except (VectorStoreError, IndexMismatchError) as error:
            log.warning(WARM_UP_FAILED, reason=str(error))
        else:
            log.info(PROCESS_READY)

    def close(**_: Any) -> None:
        runtime.close()
        tracing.close()

    signals.worker_process_init.connect(warm_up, weak=False)
    signals.worker_process_shutdown.connect(close, weak=False)
    # The solo pool runs jobs in the worker's own process.
    signals.worker_shutdown.connect(close, weak=False)
