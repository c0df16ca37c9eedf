"""What the index holds: units and versions, in windows that fit the memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mh_common import vector_index as fields
from mh_common.batches import batched
from mh_common.units import UnitKey, before_all
from pymilvus import AsyncMilvusClient

from indexer_worker.vector_store.calls import milvus_calls
from indexer_worker.vector_store.layout import Layout

MAX_WINDOW: Final = 10_000
"""Most rows of the index in one window. Milvus returns 16,384 at most, and says nothing of those it leaves out."""

QUERY_LIMIT: Final = 16_384

MAX_LISTED: Final = 1000
"""Most units named in one filter."""


@dataclass(frozen=True)
class Window:
    """The rows of the index of units up to `high`: their versions, and which units it holds more than once."""

    high: UnitKey
    versions: dict[UnitKey, int]
    copied: frozenset[UnitKey]


class MilvusInventory:
    """Reads units and versions from one collection, with strong consistency.

    Milvus has no sorted stream of a whole collection: a query is not ordered on every server and is cut off at 16,384
    rows. So rows are counted before they are read, and a window that holds too many of them is made smaller.
    A query shows one of several copies of a row; only counting tells.

    Args:
        client: made with `make_client`; closed by who made it.
        layout: of the kind's collection.
        timeout: seconds until a call is given up.
        collection: another one than that which readers search.
        max_window: most rows in one window.
    """

    def __init__(
        self,
        client: AsyncMilvusClient,
        layout: Layout,
        *,
        timeout: float,
        collection: str | None = None,
        max_window: int = MAX_WINDOW,
    ) -> None:
        self._client = client
        self._layout = layout
        self._timeout = timeout
        self._collection = collection or layout.collection
        self._max_window = max_window

    async def window(self, low: UnitKey, high: UnitKey) -> Window:
        """Return the rows of units with low < key <= high, or those of a shorter window that begins there.

        Raises:
            VectorStoreError: Milvus does not answer, or there is no collection.
        """
        while True:
            expression = self._layout.between(low, high)
            count = await self._count(expression)
            versions = await self._versions(expression) if count else {}
            # Half of the units that were seen, whichever these are: fewer are left each time.
            middle = sorted(versions)[(len(versions) - 1) // 2] if versions else _half_way(low, high)
            if count <= self._max_window or middle == high:
                copied = await self._copied(sorted(versions)) if count > len(versions) else frozenset()
                return Window(high, versions, copied)
            high = middle

    async def of(self, keys: Sequence[UnitKey]) -> Window:
        """Return the rows of these units. Raises as `window`."""
        versions: dict[UnitKey, int] = {}
        copied: frozenset[UnitKey] = frozenset()
        for part in batched(keys, MAX_LISTED):
            expression = self._layout.among(part)
            found = await self._versions(expression)
            if await self._count(expression) > len(found):
                copied |= await self._copied(sorted(found))
            versions |= found
        return Window(max(keys, default=before_all(self._layout.kind)), versions, copied)

    async def _copied(self, keys: Sequence[UnitKey]) -> frozenset[UnitKey]:
        """Return which of these units are there more than once, by halving."""
        if len(keys) <= MAX_LISTED and await self._count(self._layout.among(keys)) <= len(keys):
            return frozenset()
        if len(keys) == 1:
            return frozenset(keys)
        middle = len(keys) // 2
        return await self._copied(keys[:middle]) | await self._copied(keys[middle:])

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


def _half_way(low: UnitKey, high: UnitKey) -> UnitKey:
    """Return a key between the two where no unit shows the middle; `high` when there is no source between them."""
    middle = low.source_id + (high.source_id - low.source_id) // 2
    return high if middle == low.source_id else high._replace(source_id=middle)
