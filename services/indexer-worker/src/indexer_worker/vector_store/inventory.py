"""What the index holds: ids and versions, in windows that fit the memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mh_common import vector_index as fields
from mh_common.batches import batched
from pymilvus import AsyncMilvusClient

from indexer_worker.vector_store.calls import milvus_calls

MAX_WINDOW: Final = 10_000
"""Most rows of the index in one window. Milvus returns 16,384 at most, and says nothing of those it leaves out."""

QUERY_LIMIT: Final = 16_384

MAX_LISTED: Final = 1000
"""Most ids named in one filter."""


@dataclass(frozen=True)
class Window:
    """The rows of the index with ids up to `high`: their versions by id, and which ids it holds more than once."""

    high: int
    versions: dict[int, int]
    copied: frozenset[int]


class MilvusInventory:
    """Reads ids and versions from one collection, with strong consistency.

    Milvus has no sorted stream of a whole collection: a query is not ordered on every server and is cut off at 16,384
    rows. So rows are counted before they are read, and a window of ids that holds too many of them is made smaller.
    A query shows one of several copies of an id; only counting tells.

    Args:
        client: made with `make_client`; closed by who made it.
        timeout: seconds until a call is given up.
        max_window: most rows in one window.
    """

    def __init__(
        self,
        client: AsyncMilvusClient,
        *,
        timeout: float,
        collection: str = fields.COLLECTION,
        max_window: int = MAX_WINDOW,
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._collection = collection
        self._max_window = max_window

    async def window(self, low: int, high: int) -> Window:
        """Return the rows with low < id <= high, or those of a shorter window that begins there.

        Raises:
            VectorStoreError: Milvus does not answer, or there is no collection.
        """
        while True:
            count = await self._count(_between(low, high))
            versions = await self._versions(_between(low, high)) if count else {}
            if count <= self._max_window or high == low + 1:
                copied = await self._copied(sorted(versions)) if count > len(versions) else frozenset()
                return Window(high, versions, copied)
            # Half of the rows that were seen, whichever these are: fewer are left each time.
            middle = sorted(versions)[len(versions) // 2] if versions else low + (high - low) // 2
            high = middle if middle < high else high - 1

    async def of(self, ids: Sequence[int]) -> Window:
        """Return the rows with these ids. Raises as `window`."""
        versions: dict[int, int] = {}
        copied: frozenset[int] = frozenset()
        for part in batched(ids, MAX_LISTED):
            found = await self._versions(_among(part))
            if await self._count(_among(part)) > len(found):
                copied |= await self._copied(sorted(found))
            versions |= found
        return Window(max(ids, default=0), versions, copied)

    async def _copied(self, ids: Sequence[int]) -> frozenset[int]:
        """Return which of these ids are there more than once, by halving."""
        if len(ids) <= MAX_LISTED and await self._count(_among(ids)) <= len(ids):
            return frozenset()
        if len(ids) == 1:
            return frozenset(ids)
        middle = len(ids) // 2
        return await self._copied(ids[:middle]) | await self._copied(ids[middle:])

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

    async def _versions(self, expression: str) -> dict[int, int]:
        async with milvus_calls(self._timeout):
            rows = await self._client.query(
                self._collection,
                filter=expression,
                output_fields=[fields.VERSION],
                limit=QUERY_LIMIT,
                consistency_level="Strong",
                retry_times=1,
            )
        return {row[fields.ID]: row[fields.VERSION] for row in rows}


def _between(low: int, high: int) -> str:
    return f"{fields.ID} > {low:d} and {fields.ID} <= {high:d}"


def _among(ids: Sequence[int]) -> str:
    return f"{fields.ID} in [{', '.join(f'{key:d}' for key in ids)}]"
