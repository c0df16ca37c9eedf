"""Writing the index: rows in, units out. `MilvusRepository` is the real one."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from mh_common.units import UnitKey
from pymilvus import AsyncMilvusClient

from indexer_worker import metrics
from indexer_worker.errors import RowsRefusedError, VectorStoreError
from indexer_worker.vector_store.calls import milvus_calls
from indexer_worker.vector_store.layout import Layout, Row, check, ensure

WRITE_ATTEMPTS: Final = 5
"""How often a write is done again because another worker wrote the same rows in the same moment."""


class VectorRepository(Protocol):
    """Holds one row for each unit of a kind."""

    async def prepare(self) -> None:
        """Return when rows can be written; `upsert` and `delete` look for themselves.

        Raises:
            VectorStoreError: the index cannot be used now.
            IndexMismatchError: the collection is not the configured one.
        """
        ...

    async def upsert(self, rows: Sequence[Row]) -> None:
        """Write these rows, none twice, in the place of those of the same units.

        Raises:
            RowsRefusedError: one of the rows can be the cause.
            VectorStoreError: some of the rows may be written all the same.
            IndexMismatchError: the collection is not the configured one.
        """
        ...

    async def delete(self, keys: Sequence[UnitKey]) -> None:
        """Remove the rows of these units; absent ones are passed over. Raises as `upsert`."""
        ...


class MilvusRepository:
    """The `VectorRepository` in Milvus or Milvus Lite. Belongs to the event loop that first uses it.

    The collection is made at the first use, and again should it vanish later.

    Args:
        client: made with `make_client`; closed by who made it.
        layout: of the kind's collection.
        model, dimension: the embedding space of the vectors.
        timeout: seconds until a call is given up.
        collection: another one than that which readers search, while it is being filled.
    """

    def __init__(
        self,
        client: AsyncMilvusClient,
        layout: Layout,
        *,
        model: str,
        dimension: int,
        timeout: float,
        collection: str | None = None,
    ) -> None:
        self._client = client
        self._layout = layout
        self._model = model
        self._dimension = dimension
        self._timeout = timeout
        self._collection = collection or layout.collection
        self._prepared = False

    async def prepare(self) -> None:
        """See `VectorRepository.prepare`."""
        async with self._calls():
            # Looked at before each write: it may have been replaced since the last one.
            look = check if self._prepared else ensure
            await look(self._client, self._layout, self._model, self._dimension, self._collection)
        self._prepared = True

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorRepository.upsert`."""
        keys = [self._layout.key_of(row) for row in rows]
        await self.prepare()
        vectors = (row[field] for row in rows for field in self._layout.vectors)
        if any(len(vector) != self._dimension for vector in vectors):
            # Milvus Lite would take it.
            raise RowsRefusedError(f"The vector's length is not {self._dimension}", permanent=True)
        async with self._calls():
            with metrics.milvus_write("upsert", len(rows)):
                await self._write(rows, keys)

    async def _write(self, rows: Sequence[Row], keys: Sequence[UnitKey]) -> None:
        stored = await self._copies(keys)
        for attempt in range(WRITE_ATTEMPTS):
            # An upsert deletes first, for which Milvus Lite looks through all that it holds. Whoever finds nothing to
            # delete and is not alone with that sees it afterwards.
            write = self._client.upsert if stored else self._client.insert
            await write(self._collection, list(rows))
            stored = await self._copies(keys)
            if stored == len(keys):
                return
            await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - keeps two workers apart
        raise VectorStoreError("Other workers kept writing the same rows")

    async def delete(self, keys: Sequence[UnitKey]) -> None:
        """See `VectorRepository.delete`."""
        await self.prepare()
        async with self._calls():
            with metrics.milvus_write("delete", len(keys)):
                await self._client.delete(self._collection, filter=self._layout.among(keys))

    async def _copies(self, keys: Sequence[UnitKey]) -> int:
        """Count the stored rows of these units.

        An upsert is a delete and an insert. Milvus Lite does not keep two of them apart: both can delete first and then
        both insert, and search goes on to find the older copy. Whoever inserts last sees both here, and writes again;
        so do those who inserted because there was nothing.
        """
        rows = await self._client.query(
            self._collection,
            filter=self._layout.among(keys),
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(rows[0]["count(*)"])

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[None]:
        """As `milvus_calls`; what was known of the collection is asked anew after a failure."""
        try:
            async with milvus_calls(self._timeout):
                yield
        except VectorStoreError:
            self._prepared = False
            raise
