"""Ends a worker that takes no jobs although some are waiting, so that its supervisor restarts it.

Celery on Redis can silently stop consuming, and waits forever for a child process that was stopped before it took its
job. The worker stays alive and answers pings in both cases: only progress proves that it works.
"""

import os
import signal
import sys
import threading
import time
from typing import Any, Final

import structlog
from billiard.process import active_children
from celery.worker import state

from indexer_worker.liveness.heartbeat import write_heartbeat
from indexer_worker.liveness.queue_depth import JobQueue, QueueDepth
from indexer_worker.settings import Settings

log = structlog.get_logger(__name__)

WORKER_STALLED: Final = "worker_stalled"
"""The worker made no progress although jobs are waiting; it exits."""
QUEUE_DEPTH: Final = "index_queue_depth"
"""Jobs waiting and jobs taken by workers; logged once a minute by each worker while there are any."""

EXIT_CODE: Final = 70
CHECKS: Final = 20
"""Checks within the time after which a worker counts as stalled."""
MAX_INTERVAL_S: Final = 5.0
REPORT_EVERY_S: Final = 60.0


class Watchdog:
    """Checks every few seconds, in a thread of the worker's main process, whether it makes progress."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.worker.stall_timeout
        self._interval = min(self._limit / CHECKS, MAX_INTERVAL_S)
        self._file = settings.worker.heartbeat_file
        self._queue = JobQueue(settings.redis)
        self._last_progress: object = None
        self._stalled = 0.0
        self._reported_at = float("-inf")
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start checking. The first check is immediate, so that the heartbeat file exists as soon as possible."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop checking: the worker is shutting down, takes no more jobs and finishes those it has."""
        self._stopped.set()

    def depth(self) -> QueueDepth | None:
        """Return the queue's depth; see `JobQueue.depth`."""
        return self._queue.depth()

    def check(self) -> bool:
        """Check once, write the heartbeat, and return whether the worker is stalled."""
        depth, progress = self.depth(), _progress()
        has_work = bool(state.reserved_requests or state.active_requests) or bool(depth and depth.waiting)
        # Checks are counted instead of elapsed time: a machine that was suspended did not stall.
        self._stalled = self._stalled + self._interval if has_work and progress == self._last_progress else 0.0
        self._last_progress = progress
        self._report(depth)
        write_heartbeat(self._file, stalled=self._stalled, limit=self._limit, pause=self._interval, depth=depth)
        return self._stalled > self._limit

    def _run(self) -> None:
        while not self.check():
            if self._stopped.wait(self._interval):
                return
        _exit(self._stalled)

    def _report(self, depth: QueueDepth | None) -> None:
        if depth is None or not (depth.waiting or depth.taken):
            return
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            log.info(QUEUE_DEPTH, waiting=depth.waiting, taken=depth.taken)


def _progress() -> Any:
    """Return a value that changes whenever a job is received, started or finished."""
    return state.all_total_count[0], frozenset(state.requests), len(state.active_requests)


def _exit(stalled: float) -> None:
    log.critical(WORKER_STALLED, seconds=round(stalled))
    sys.stdout.flush()
    for child in active_children():
        # SIGKILL, as no other signal takes effect on a stopped process.
        os.kill(child.pid, signal.SIGKILL)
    os._exit(EXIT_CODE)
