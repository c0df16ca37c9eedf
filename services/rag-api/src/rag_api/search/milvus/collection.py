"""Whether the collection is there, and is the one that this service is set to."""

import asyncio
import time
from typing import Final

import structlog
from mh_common import vector_index as fields
from pymilvus import AsyncMilvusClient

from rag_api.search.index import VectorIndexError

log = structlog.get_logger(__name__)

VECTOR_INDEX_MISMATCH: Final = "vector_index_mismatch"
"""Logged once for each foreign collection that is met: it has another embedding space or schema than is needed."""

RECHECK_S: Final = 30.0
"""How long a collection is trusted to be the right one before it is looked at again."""

ABSENT_PAUSES: Final = (0.0, 0.02, 0.1, 0.5)
"""Seconds before each further look for a collection that was there: a server's first rebuild renames it, and then gives
its name to the new one. These are two calls."""

RECHECK_REBUILDING_S: Final = 2.0
"""The same while the index is being built anew in place."""


class CollectionCheck:
    """Looks at the collection, and remembers for a while what it saw.

    Args:
        client: of the event loop that uses this.
        model, dimension: the embedding space that is needed. A collection of another is refused.
    """

    def __init__(self, client: AsyncMilvusClient, model: str, dimension: int) -> None:
        self._client = client
        self._expected = fields.describe(model, dimension)
        self._trusted_until = 0.0
        self._reported: str | None = None
        self._was_there = False
        # Held while connecting: the client would connect once for each of the first requests.
        self._checking = asyncio.Lock()
        self.rebuilding = False

    def forget(self) -> None:
        """Look again at the next opportunity."""
        self._trusted_until = 0.0

    async def is_there(self) -> bool:
        """Return whether the collection exists; asks Milvus only when that is not known of late.

        Raises:
            VectorIndexError: it is another one than is needed.
        """
        if time.monotonic() < self._trusted_until:
            return True
        async with self._checking:
            if time.monotonic() < self._trusted_until:
                return True
            self.rebuilding = await self._client.has_collection(fields.REBUILDING, retry_times=1)
            if not await self._exists():
                self._was_there = False
                return False
            self._was_there = True
            found = await self._client.describe_collection(fields.COLLECTION, retry_times=1)
            self._refuse_foreign(str(found["description"]))
            self._trusted_until = time.monotonic() + (RECHECK_REBUILDING_S if self.rebuilding else RECHECK_S)
            return True

    async def _exists(self) -> bool:
        # In place of the live one, a rebuild takes longer than anybody waits, and says so.
        pauses = ABSENT_PAUSES if self._was_there and not self.rebuilding else ABSENT_PAUSES[:1]
        for pause in pauses:
            await asyncio.sleep(pause)
            if await self._client.has_collection(fields.COLLECTION, retry_times=1):
                return True
        return False

    def _refuse_foreign(self, description: str) -> None:
        if description == self._expected:
            self._reported = None
            return
        if description != self._reported:
            self._reported = description
            log.error(VECTOR_INDEX_MISMATCH, found=description, expected=self._expected)
        raise VectorIndexError(
            f"The vector index was made as '{description}', but this service needs '{self._expected}'. Give it and the "
            "indexer the same release and EMBEDDING settings, then build the index anew: mh index rebuild",
            retry_after=60,
        )
