"""The asynchronous service inside a process that runs one job after the other."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from mh_common.models import IndexRunKind
from mh_common.units import UnitKey

from indexer_worker.errors import JobTimeoutError
from indexer_worker.maintenance.checkpoints import Checkpoint
from indexer_worker.settings import Settings

if TYPE_CHECKING:
    from indexer_worker.assembly import Services

T = TypeVar("T")


class Runtime:
    """One event loop for the life of a process, with the service and its clients on it.

    Nothing is made, and no library with threads of its own is loaded, before the first use: gRPC and onnxruntime do not
    survive a fork. Jobs of several threads run one at a time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._runner: asyncio.Runner | None = None
        self._clients = AsyncExitStack()
        self._opened: Services | None = None

    def prepare(self) -> None:
        """Make the clients and the collections, so that the first job need not.

        Raises:
            VectorStoreError: Milvus does not answer now.
            IndexMismatchError: a collection is not the configured one.
            EmbedderError, ValueError: there is no such embedder.
        """
        self._run(self._prepare())

    def index(self, units: Sequence[UnitKey]) -> None:
        """Bring the index in step with these units of one kind; see `IndexService.index`. Raises as `prepare` too.

        Raises:
            JobTimeoutError: it took longer than WORKER_JOB_TIMEOUT.
        """
        self._run(self._limited(lambda services: services.of(units[0].kind).index.index(units)))

    def give_up(self, unit: UnitKey, reason: str) -> None:
        """Mark a unit as failed; see `IndexService.give_up`. Raises as `index`."""
        self._run(self._limited(lambda services: services.of(unit.kind).index.give_up(unit, reason)))

    def add_run(self, kind: IndexRunKind) -> int:
        """Return the id of a run to carry out; see `RunService.add`. Raises as `index`."""
        return self._run(self._limited(lambda services: services.runs.add(kind)))

    def carry_on(self, checkpoint: Checkpoint, attempts: int, deaths: int) -> Checkpoint | None:
        """Do one step of a run and return the next; see `RunService.carry_on`. Raises as `index`."""
        return self._run(self._limited(lambda services: services.runs.carry_on(checkpoint, attempts, deaths)))

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
            # The runner would use the context it was made in, where the present job's id is not bound.
            return self._runner.run(coroutine, context=copy_context())

    async def _prepare(self) -> None:
        for services in (await self._open()).kinds.values():
            await services.repository.prepare()

    async def _limited(self, work: "Callable[[Services], Coroutine[Any, Any, T]]") -> T:
        services = await self._open()
        limit = self._settings.worker.job_timeout
        try:
            async with asyncio.timeout(limit):
                return await work(services)
        except TimeoutError as error:
            raise JobTimeoutError(f"Took longer than {limit:g} s") from error

    async def _open(self) -> "Services":
        if self._opened is None:
            # Late also because pymilvus reads .env into the environment when it is loaded, where it would win over
            # .env.local: the settings must have been read before.
            from indexer_worker.assembly import assemble

            async with AsyncExitStack() as stack:
                self._opened = await assemble(self._settings, stack)
                self._clients = stack.pop_all()
        return self._opened
