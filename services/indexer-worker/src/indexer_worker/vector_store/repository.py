"""Writes rows to the index and deletes them by unit. `MilvusRepository` implements it."""

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
"""Maximum attempts at a write while other workers concurrently write the same rows."""


class VectorRepository(Protocol):
    """Stores one row for each unit of a kind."""

    async def prepare(self) -> None:
        """Make sure that rows can be written; `upsert` and `delete` also do this themselves.

        Raises:
            VectorStoreError: the index cannot be used now.
            IndexMismatchError: the collection does not match the settings.
        """
        ...

    async def upsert(self, rows: Sequence[Row]) -> None:
        """Write these rows, at most one per unit, replacing existing rows of the same units.

        Raises:
            RowsRefusedError: one of the rows may be the cause.
            VectorStoreError: some of the rows may have been written.
            IndexMismatchError: the collection does not match the settings.
        """
        ...

    async def delete(self, keys: Sequence[UnitKey]) -> None:
        """Delete the rows of these units; units without rows are ignored. Raises the errors of `upsert`."""
        ...


class MilvusRepository:
    """A `VectorRepository` in Milvus or Milvus Lite. Belongs to the event loop that first uses it.

    The collection is created at the first use, and again if it disappears later.

    Args:
        client: created with `make_client`; the caller closes it.
        layout: the layout of the kind's collection.
        model, dimension: the embedding model and dimension of the vectors.
        timeout: of each method's calls, in seconds.
        collection: name of a collection to fill, instead of the one that readers search.
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
            # Checked before each write: it may have been replaced since the last one.
            verify = check if self._prepared else ensure
            await verify(self._client, self._layout, self._model, self._dimension, self._collection)
        self._prepared = True

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorRepository.upsert`."""
        keys = [self._layout.key_of(row) for row in rows]
        await self.prepare()
        vectors = (row[field] for row in rows for field in self._layout.vectors)
        if any(len(vector) != self._dimension for vector in vectors):
            # Milvus Lite would accept it.
            raise RowsRefusedError(f"The vector's length is not {self._dimension}", permanent=True)
        async with self._calls():
            with metrics.milvus_write("upsert", len(rows)):
                await self._write(rows, keys)

    async def _write(self, rows: Sequence[Row], keys: Sequence[UnitKey]) -> None:
        stored = await self._count_stored(keys)
        for attempt in range(WRITE_ATTEMPTS):
            # An upsert first deletes, for which Milvus Lite scans the whole collection. So rows that are not there yet
            # are inserted; if another worker does the same concurrently, the count afterwards shows it.
            write = self._client.upsert if stored else self._client.insert
            await write(self._collection, list(rows))
            stored = await self._count_stored(keys)
            if stored == len(keys):
                return
            await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - keeps two workers apart
        raise VectorStoreError("Other workers kept writing the same rows")

    async def delete(self, keys: Sequence[UnitKey]) -> None:
        """See `VectorRepository.delete`."""
        await self.prepare()
        async with self._calls():
            with metrics.milvus_write("delete", len(keys)):
                await self._client.delete(self._collection, filter=self._layout.keys_filter(keys))

    async def _count_stored(self, keys: Sequence[UnitKey]) -> int:
        """Count the stored rows of these units.

        An upsert is a delete followed by an insert. Milvus Lite does not isolate concurrent upserts: both may delete
        and then both insert, and search would keep finding the older row. Whichever inserts last counts both rows
        here and writes again; so does a worker that inserted because there was no row.
        """
        rows = await self._client.query(
            self._collection,
            filter=self._layout.keys_filter(keys),
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(rows[0]["count(*)"])

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[None]:
        """Call `milvus_calls`; after a failure, let the next `prepare` create whatever is missing."""
        try:
            async with milvus_calls(self._timeout):
                yield
        except VectorStoreError:
            self._prepared = False
            raise
