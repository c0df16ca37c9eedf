"""Runs the asynchronous services in a process that executes one job after another."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from mh_common.models import IndexRunKind
from mh_common.units import UnitKey

from indexer_worker.errors import JobTimeoutError
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.settings import Settings

if TYPE_CHECKING:
    from indexer_worker.bootstrap import Services

T = TypeVar("T")


class Runtime:
    """One event loop for the lifetime of a process, with the services and their clients on it.

    Nothing is created, and no library that starts threads is loaded, before the first use: gRPC and onnxruntime do not
    survive a fork. Jobs from several threads run one at a time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._clients = AsyncExitStack()
        self._services: Services | None = None

    def prepare(self) -> None:
        """Create the clients and the collections, so that the first job does not have to.

        Raises:
            VectorStoreError: Milvus does not answer now.
            IndexMismatchError: a collection does not match the settings.
            EmbedderError, ValueError: the configured embedder does not exist.
        """
        self._run(self._prepare())

    def index(self, units: Sequence[UnitKey]) -> None:
        """Update the index for these units of one kind; see `IndexService.index`. Also raises the errors of `prepare`.

        Raises:
            JobTimeoutError: it took longer than WORKER_JOB_TIMEOUT.
        """
        self._run(self._with_timeout(lambda services: services.of(units[0].kind).index.index(units)))

    def give_up(self, unit: UnitKey, reason: str) -> None:
        """Mark a unit as failed; see `IndexService.give_up`. Raises the errors of `index`."""
        self._run(self._with_timeout(lambda services: services.of(unit.kind).index.give_up(unit, reason)))

    def add_run(self, kind: IndexRunKind) -> int:
        """Add a run and return its id; see `RunService.add`. Raises the errors of `index`."""
        return self._run(self._with_timeout(lambda services: services.runs.add(kind)))

    def run_step(self, checkpoint: RunCheckpoint, attempts: int, crashes: int) -> RunCheckpoint | None:
        """Execute one step of a run; see `RunService.run_step`. Raises the errors of `index`."""
        return self._run(self._with_timeout(lambda services: services.runs.run_step(checkpoint, attempts, crashes)))

    def close(self) -> None:
        """Close the clients and the loop."""
        if self._runner is not None:
            with self._runner as runner:
                runner.run(self._clients.aclose())
            self._runner = None

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._runner is None:
                self._runner = asyncio.Runner()
            # By default the runner uses the context it was created in, where the current job's id is not bound.
            return self._runner.run(coroutine, context=copy_context())

    async def _prepare(self) -> None:
        for services in (await self._open()).kinds.values():
            await services.repository.prepare()

    async def _with_timeout(self, work: "Callable[[Services], Coroutine[Any, Any, T]]") -> T:
        services = await self._open()
        timeout = self._settings.worker.job_timeout
        try:
            async with asyncio.timeout(timeout):
                return await work(services)
        except TimeoutError as error:
            raise JobTimeoutError(f"Took longer than {timeout:g} s") from error

    async def _open(self) -> "Services":
        if self._services is None:
            # Imported late also because importing pymilvus loads .env into the environment, where it would override
            # .env.local: the settings must have been read before.
            from indexer_worker.bootstrap import build_services

            async with AsyncExitStack() as stack:
                self._services = await build_services(self._settings, stack)
                self._clients = stack.pop_all()
        return self._services
