"""The asynchronous service inside a process that runs one job after the other."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from indexer_worker.errors import JobTimeoutError
from indexer_worker.settings import Settings

if TYPE_CHECKING:
    from indexer_worker.repository import MilvusRepository
    from indexer_worker.service import IndexService

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
        self._opened: tuple[IndexService, MilvusRepository] | None = None

    def prepare(self) -> None:
        """Make the clients and the collection, so that the first job need not.

        Raises:
            VectorStoreError: Milvus does not answer now.
            IndexMismatchError: the collection is not the configured one.
            EmbedderError, ValueError: there is no such embedder.
        """
        self._run(self._prepare())

    def index(self, ids: Sequence[int]) -> None:
        """Bring the index in step with these conversations; see `IndexService.index`. Raises as `prepare` too.

        Raises:
            JobTimeoutError: it took longer than WORKER_JOB_TIMEOUT.
        """
        self._run(self._index(ids))

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
        _, repository = await self._open()
        await repository.prepare()

    async def _index(self, ids: Sequence[int]) -> None:
        service, _ = await self._open()
        limit = self._settings.worker.job_timeout
        try:
            async with asyncio.timeout(limit):
                await service.index(ids)
        except TimeoutError as error:
            raise JobTimeoutError(f"Took longer than {limit:g} s") from error

    async def _open(self) -> "tuple[IndexService, MilvusRepository]":
        if self._opened is not None:
            return self._opened
        # Late also because pymilvus reads .env into the environment when it is loaded, where it would win over
        # .env.local: the settings must have been read before.
        from mh_client import AsyncClient
        from mh_common.embeddings import make_embedder

        from indexer_worker.repository import MilvusRepository, make_client
        from indexer_worker.service import IndexService

        settings = self._settings
        async with AsyncExitStack() as stack:
            embedder = make_embedder(settings.embedding, settings.openai)
            stack.push_async_callback(embedder.close)
            milvus = make_client(settings.milvus.uri, settings.milvus.token, settings.milvus.timeout)
            stack.push_async_callback(milvus.close)
            conversations = AsyncClient(settings.conversations.url, timeout=settings.conversations.timeout)
            await stack.enter_async_context(conversations)
            repository = MilvusRepository(
                milvus, model=embedder.model, dimension=embedder.dimension, timeout=settings.milvus.timeout
            )
            self._opened = IndexService(conversations, embedder, repository), repository
            self._clients = stack.pop_all()
        return self._opened
