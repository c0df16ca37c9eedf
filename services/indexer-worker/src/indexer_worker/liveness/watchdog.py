"""A worker that takes no jobs although some wait ends itself, and whoever runs it starts it again.

Celery on Redis can stop consuming in silence, and waits for ever for a process that is stopped before it took its job.
The worker lives all the while and answers pings: only progress proves anything.
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
"""The worker made no progress although jobs wait; it ends."""
QUEUE_DEPTH: Final = "index_queue_depth"
"""Jobs that wait, and jobs that workers have; once a minute while there are any, from each worker."""

EXIT_CODE: Final = 70
LOOKS: Final = 20
"""How often within the time after which a worker counts as stalled."""
LONGEST_PAUSE_S: Final = 5.0
REPORT_EVERY_S: Final = 60.0


class Watchdog:
    """Looks every few seconds, in a thread of the worker's first process, whether anything moves."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.worker.stall_timeout
        self._pause = min(self._limit / LOOKS, LONGEST_PAUSE_S)
        self._file = settings.worker.heartbeat_file
        self._queue = JobQueue(settings.redis)
        self._seen: object = None
        self._stalled = 0.0
        self._reported_at = float("-inf")
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to look, at once: who waits for the heartbeat file waits for no pause."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """End in peace: the worker takes no more jobs and finishes those it has."""
        self._ended.set()

    def depth(self) -> QueueDepth | None:
        """Return the queue's depth; see `JobQueue.depth`."""
        return self._queue.depth()

    def look(self) -> bool:
        """Look once, leave word of it, and say whether the worker is stalled."""
        depth, present = self.depth(), _progress()
        waits = bool(state.reserved_requests or state.active_requests) or bool(depth and depth.waiting)
        # Looks are counted, not the time that passed: a machine that slept did not stall.
        self._stalled = self._stalled + self._pause if waits and present == self._seen else 0.0
        self._seen = present
        self._report(depth)
        write_heartbeat(self._file, stalled=self._stalled, limit=self._limit, pause=self._pause, depth=depth)
        return self._stalled > self._limit

    def _run(self) -> None:
        while not self.look():
            if self._ended.wait(self._pause):
                return
        _end_process(self._stalled)

    def _report(self, depth: QueueDepth | None) -> None:
        if depth is None or not (depth.waiting or depth.taken):
            return
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            log.info(QUEUE_DEPTH, waiting=depth.waiting, taken=depth.taken)


def _progress() -> Any:
    """Return something that changes whenever a job is taken, begun or ended."""
    return state.all_total_count[0], frozenset(state.requests), len(state.active_requests)


def _end_process(stalled: float) -> None:
    log.critical(WORKER_STALLED, seconds=round(stalled))
    sys.stdout.flush()
    for child in active_children():
        # Also one that is stopped, which no other signal reaches.
        os.kill(child.pid, signal.SIGKILL)
    os._exit(EXIT_CODE)
