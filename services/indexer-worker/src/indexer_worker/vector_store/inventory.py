"""Lists the units and versions in the index, in pages of limited size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mh_common import vector_index as fields
from mh_common.batches import batched
from mh_common.units import UnitKey, before_first
from pymilvus import AsyncMilvusClient

from indexer_worker.vector_store.calls import milvus_calls
from indexer_worker.vector_store.layout import Layout

MAX_PAGE_ROWS: Final = 10_000
"""Maximum number of rows in one page. Milvus returns at most `QUERY_LIMIT` and silently drops the rest."""

QUERY_LIMIT: Final = 16_384

MAX_FILTER_UNITS: Final = 1000
"""Maximum number of units in one filter."""


@dataclass(frozen=True)
class InventoryPage:
    """The indexed units up to and including `high`.

    Attributes:
        high: the last key of the page's range.
        versions: the indexed version of each unit.
        duplicates: the units with more than one row.
    """

    high: UnitKey
    versions: dict[UnitKey, int]
    duplicates: frozenset[UnitKey]


class MilvusInventory:
    """Reads units and versions from one collection, with strong consistency.

    Milvus cannot stream a whole collection in order: not every server sorts the results of a query, and they are cut
    off at 16,384 rows. So rows are counted before they are read, and a range with too many rows is made smaller. A
    query returns only one of several rows with the same primary key; only the count reveals duplicates.

    Args:
        client: created with `make_client`; the caller closes it.
        layout: the layout of the kind's collection.
        timeout: of a call, in seconds.
        collection: name of the collection to read instead of the one that readers search.
        max_rows: maximum number of rows in one page.
    """

    def __init__(
        self,
        client: AsyncMilvusClient,
        layout: Layout,
        *,
        timeout: float,
        collection: str | None = None,
        max_rows: int = MAX_PAGE_ROWS,
    ) -> None:
        self._client = client
        self._layout = layout
        self._timeout = timeout
        self._collection = collection or layout.collection
        self._max_window = max_rows

    async def page(self, low: UnitKey, high: UnitKey) -> InventoryPage:
        """Return the units with low < key <= high, or a shorter page that starts at the same key.

        Raises:
            VectorStoreError: Milvus does not answer, or the collection does not exist.
        """
        while True:
            expression = self._layout.range_filter(low, high)
            count = await self._count(expression)
            versions = await self._versions(expression) if count else {}
            # The median of the units returned, even if some were cut off: each time the range becomes smaller.
            middle = sorted(versions)[(len(versions) - 1) // 2] if versions else _midpoint(low, high)
            if count <= self._max_window or middle == high:
                duplicates = await self._find_duplicates(sorted(versions)) if count > len(versions) else frozenset()
                return InventoryPage(high, versions, duplicates)
            high = middle

    async def find(self, keys: Sequence[UnitKey]) -> InventoryPage:
        """Return these units as far as they are indexed. Raises the errors of `page`."""
        versions: dict[UnitKey, int] = {}
        duplicates: frozenset[UnitKey] = frozenset()
        for part in batched(keys, MAX_FILTER_UNITS):
            expression = self._layout.keys_filter(part)
            found = await self._versions(expression)
            if await self._count(expression) > len(found):
                duplicates |= await self._find_duplicates(sorted(found))
            versions |= found
        return InventoryPage(max(keys, default=before_first(self._layout.kind)), versions, duplicates)

    async def _find_duplicates(self, keys: Sequence[UnitKey]) -> frozenset[UnitKey]:
        """Return which of these units have more than one row, by bisection."""
        if len(keys) <= MAX_FILTER_UNITS and await self._count(self._layout.keys_filter(keys)) <= len(keys):
            return frozenset()
        if len(keys) == 1:
            return frozenset(keys)
        middle = len(keys) // 2
        return await self._find_duplicates(keys[:middle]) | await self._find_duplicates(keys[middle:])

    async def _count(self, expression: str) -> int:
        async with milvus_calls(self._timeout):
            rows = await self._client.query(
                self._collection,
                filter=expression,
                output_fields=["count(*)"],
                consistency_level="Strong",
                retry_times=1,
            )
        return int(rows[0]["count(*)"])

    async def _versions(self, expression: str) -> dict[UnitKey, int]:
        async with milvus_calls(self._timeout):
            rows = await self._client.query(
                self._collection,
                filter=expression,
                output_fields=[*self._layout.key_fields, fields.VERSION],
                limit=QUERY_LIMIT,
                consistency_level="Strong",
                retry_times=1,
            )
        return {self._layout.key_of(row): row[fields.VERSION] for row in rows}


def _midpoint(low: UnitKey, high: UnitKey) -> UnitKey:
    """Return a key halfway between the two, for a range in which no unit was found; `high` if none lies in between."""
    middle = low.source_id + (high.source_id - low.source_id) // 2
    return high if middle == low.source_id else high._replace(source_id=middle)
