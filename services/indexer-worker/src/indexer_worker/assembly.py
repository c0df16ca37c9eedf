"""The services with their clients, made from settings. Loads pymilvus and with it gRPC: never before a fork."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
from mh_client import AsyncClient
from mh_common.embeddings import make_embedder
from mh_common.embeddings.disk_vectors import DiskVectors
from mh_common.milvus import make_client
from mh_common.tracing import inject_trace_headers

from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.indexing.service import IndexService
from indexer_worker.liveness.queue_depth import JobQueue
from indexer_worker.maintenance.rebuild import Rebuilder
from indexer_worker.maintenance.reconcile import Reconciler
from indexer_worker.maintenance.runs import RunService
from indexer_worker.settings import Settings, WorkerSettings
from indexer_worker.vector_store.inventory import MilvusInventory
from indexer_worker.vector_store.replacement import CollectionReplacement
from indexer_worker.vector_store.repository import MilvusRepository


@dataclass(frozen=True)
class Services:
    """What does the jobs' work, on one event loop."""

    index: IndexService
    runs: RunService
    repository: MilvusRepository


def _store(settings: WorkerSettings) -> DiskVectors | None:
    if settings.embedding_cache is None:
        return None
    size, kept = settings.embedding_cache_mb * 1024 * 1024, settings.embedding_cache_days * 86_400
    return DiskVectors(settings.embedding_cache, max_bytes=size, ttl=kept)


async def assemble(settings: Settings, stack: AsyncExitStack) -> Services:
    """Return the services, each client's clean-up on the stack.

    Raises:
        EmbedderError, ValueError: there is no such embedder.
    """
    embedder = make_embedder(settings.embedding, settings.openai, store=_store(settings.worker))
    stack.push_async_callback(embedder.close)
    timeout = settings.milvus.timeout
    milvus = make_client(settings.milvus.uri, settings.milvus.token, timeout)
    stack.push_async_callback(milvus.close)
    http = await stack.enter_async_context(httpx.AsyncClient(event_hooks={"request": [inject_trace_headers]}))
    client = AsyncClient(settings.conversations.url, timeout=settings.conversations.timeout, http_client=http)
    conversations = ConversationsAPI(client)
    queue = JobQueue(settings.redis)
    stack.callback(queue.close)

    def make_target(collection: str) -> tuple[MilvusInventory, IndexService]:
        repository = MilvusRepository(
            milvus, model=embedder.model, dimension=embedder.dimension, timeout=timeout, collection=collection
        )
        inventory = MilvusInventory(milvus, timeout=timeout, collection=collection)
        return inventory, IndexService(conversations, embedder, repository)

    repository = MilvusRepository(milvus, model=embedder.model, dimension=embedder.dimension, timeout=timeout)
    replacement = CollectionReplacement(milvus, model=embedder.model, dimension=embedder.dimension, timeout=timeout)
    reconciler = Reconciler(conversations, MilvusInventory(milvus, timeout=timeout))
    rebuilder = Rebuilder(conversations, replacement, reconciler, make_target)
    return Services(
        index=IndexService(conversations, embedder, repository),
        runs=RunService(conversations, repository, reconciler, rebuilder, queue.is_idle, settings.reconcile),
        repository=repository,
    )
