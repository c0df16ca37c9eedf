"""Builds the services and their clients from settings. Imports pymilvus and thus gRPC: never import before a fork."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from mh_common.embeddings import Embedder, make_embedder
from mh_common.embeddings.disk_vectors import DiskVectors
from mh_common.milvus import make_client
from pymilvus import AsyncMilvusClient

from indexer_worker.api_calls import ConversationsAPI, connected_api
from indexer_worker.indexing.screening import Screening, make_screening
from indexer_worker.indexing.service import IndexService
from indexer_worker.indexing.sources.conversations import ConversationSource
from indexer_worker.indexing.unit_source import UnitSource
from indexer_worker.liveness.queue_depth import JobQueue
from indexer_worker.maintenance.kinds import KindServices, services_of
from indexer_worker.maintenance.rebuild import Rebuilder
from indexer_worker.maintenance.reconcile import Reconciler
from indexer_worker.maintenance.runs import RunService
from indexer_worker.settings import Settings, WorkerSettings
from indexer_worker.vector_store.collection import CONVERSATIONS
from indexer_worker.vector_store.inventory import MilvusInventory
from indexer_worker.vector_store.layout import Layout
from indexer_worker.vector_store.replacement import CollectionReplacement
from indexer_worker.vector_store.repository import MilvusRepository


@dataclass(frozen=True)
class Kind:
    """One kind of units: its source, and the collection that it is indexed in."""

    layout: Layout
    make_source: Callable[[ConversationsAPI], UnitSource]


KINDS: Final = (Kind(CONVERSATIONS, ConversationSource),)
"""The kinds that this release indexes, in the order in which runs process them."""


@dataclass(frozen=True)
class Services:
    """The services that the jobs call, all on one event loop."""

    kinds: Mapping[str, KindServices]
    runs: RunService

    def of(self, kind: str) -> KindServices:
        """Return the services of a kind. Raises IndexingError if this worker does not know the kind."""
        return services_of(self.kinds, kind)


def _store(settings: WorkerSettings) -> DiskVectors | None:
    if settings.embedding_cache is None:
        return None
    max_bytes, ttl = settings.embedding_cache_mb * 1024 * 1024, settings.embedding_cache_days * 86_400
    return DiskVectors(settings.embedding_cache, max_bytes=max_bytes, ttl=ttl)


async def build_services(settings: Settings, stack: AsyncExitStack, kinds: Sequence[Kind] = KINDS) -> Services:
    """Build the services and register each client's clean-up on `stack`.

    Raises:
        EmbedderError, ValueError: the configured embedder does not exist, or texts may not be sent to it.
    """
    embedder = make_embedder(
        settings.embedding, settings.openai, settings.egress, settings.phi, store=_store(settings.worker)
    )
    stack.push_async_callback(embedder.close)
    screening = make_screening(settings.safety)
    stack.push_async_callback(screening.close)
    timeout = settings.milvus.timeout
    milvus = make_client(settings.milvus.uri, settings.milvus.token, timeout)
    stack.push_async_callback(milvus.close)
    api = await stack.enter_async_context(connected_api(settings.conversations, settings.mh))
    queue = JobQueue(settings.redis)
    stack.callback(queue.close)
    services = {kind.layout.kind: _build_kind(kind, api, embedder, screening, milvus, timeout) for kind in kinds}
    return Services(services, RunService(api, services, queue.is_idle, settings.reconcile))


def _build_kind(
    kind: Kind,
    api: ConversationsAPI,
    embedder: Embedder,
    screening: Screening,
    milvus: AsyncMilvusClient,
    timeout: float,
) -> KindServices:
    layout, source = kind.layout, kind.make_source(api)
    model, dimension = embedder.model, embedder.dimension

    def make_target(collection: str) -> tuple[MilvusInventory, IndexService]:
        repository = MilvusRepository(
            milvus, layout, model=model, dimension=dimension, timeout=timeout, collection=collection
        )
        inventory = MilvusInventory(milvus, layout, timeout=timeout, collection=collection)
        return inventory, IndexService(api, source, embedder, screening, repository)

    repository = MilvusRepository(milvus, layout, model=model, dimension=dimension, timeout=timeout)
    reconciler = Reconciler(
        api, MilvusInventory(milvus, layout, timeout=timeout), layout.kind, screened_by=screening.screened_by
    )
    replacement = CollectionReplacement(milvus, layout, model=model, dimension=dimension, timeout=timeout)
    return KindServices(
        index=IndexService(api, source, embedder, screening, repository),
        repository=repository,
        reconciler=reconciler,
        rebuilder=Rebuilder(api, replacement, reconciler, make_target, layout),
    )
