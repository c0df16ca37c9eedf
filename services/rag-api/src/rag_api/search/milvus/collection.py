"""Check that the collection exists and matches this service's embedding model and schema."""

import asyncio
import time
from typing import Final

import structlog
from mh_common import vector_index as fields
from pymilvus import AsyncMilvusClient

from rag_api.search.index import VectorIndexError

log = structlog.get_logger(__name__)

VECTOR_INDEX_MISMATCH: Final = "vector_index_mismatch"
"""Logged once for each mismatching collection: its embedding model, dimension or schema is not the configured one."""

RECHECK_INTERVAL_S: Final = 30.0
"""Seconds for which a positive check is cached."""

ABSENT_RETRY_DELAYS: Final = (0.0, 0.02, 0.1, 0.5)
"""Seconds before each retry of looking up a collection that existed before. A server's first rebuild renames the
collection and then gives its name to the new one: two calls, between which the name does not exist."""

RECHECK_INTERVAL_REBUILDING_S: Final = 2.0
"""Seconds for which a positive check is cached while the index is being rebuilt in place."""


class CollectionCheck:
    """Checks the collection, and caches the result for a while.

    Args:
        client: must belong to the event loop that uses this object.
        model, dimension: the required embedding model. A collection built with another one is rejected.
    """

    def __init__(self, client: AsyncMilvusClient, model: str, dimension: int) -> None:
        self._client = client
        self._expected = fields.describe(model, dimension)
        self._trusted_until = 0.0
        self._reported_mismatch: str | None = None
        self._existed = False
        # Held while connecting: otherwise each of the first requests would open a connection of its own.
        self._check_lock = asyncio.Lock()
        self.rebuilding = False

    def invalidate(self) -> None:
        """Discard the cached result."""
        self._trusted_until = 0.0

    async def exists(self) -> bool:
        """Return whether the collection exists, from the cache if possible.

        Raises:
            VectorIndexError: the collection does not match the configured embedding model.
        """
        if time.monotonic() < self._trusted_until:
            return True
        async with self._check_lock:
            if time.monotonic() < self._trusted_until:
                return True
            self.rebuilding = await self._client.has_collection(fields.REBUILD_MARKER, retry_times=1)
            if not await self._has_collection():
                self._existed = False
                return False
            self._existed = True
            found = await self._client.describe_collection(fields.COLLECTION, retry_times=1)
            self._check_description(str(found["description"]))
            self._trusted_until = time.monotonic() + (
                RECHECK_INTERVAL_REBUILDING_S if self.rebuilding else RECHECK_INTERVAL_S
            )
            return True

    async def _has_collection(self) -> bool:
        # A rebuild in place takes longer than anybody would wait, and is reported as `rebuilding`.
        pauses = ABSENT_RETRY_DELAYS if self._existed and not self.rebuilding else ABSENT_RETRY_DELAYS[:1]
        for pause in pauses:
            await asyncio.sleep(pause)
            if await self._client.has_collection(fields.COLLECTION, retry_times=1):
                return True
        return False

    def _check_description(self, description: str) -> None:
        if description == self._expected:
            self._reported_mismatch = None
            return
        if description != self._reported_mismatch:
            self._reported_mismatch = description
            log.error(VECTOR_INDEX_MISMATCH, found=description, expected=self._expected)
        raise VectorIndexError(
            f"The vector index was built with '{description}', but this service needs '{self._expected}'. Give this "
            "service and the indexer the same release and EMBEDDING settings, then rebuild the index: mh index rebuild",
            retry_after=60,
        )
