"""Reconciliation: compare the index with the API, kind by kind, and queue the differences."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mh_client import MHError
from mh_common.batches import batched
from mh_common.models import MAX_BULK_ROWS, MAX_VERSIONS, CurrentVersion, IndexRun
from mh_common.units import IndexStatus, UnitKey, last_key

from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, VectorStoreError
from indexer_worker.maintenance.checkpoints import STEP_S, RunCheckpoint
from indexer_worker.vector_store.inventory import InventoryPage, MilvusInventory


class Difference(StrEnum):
    """How the index can differ from the API; the values are the names of the run's counts."""

    MISSING = "missing"
    STALE = "stale"
    ORPHANED = "orphaned"


@dataclass(frozen=True)
class Comparison:
    """The result for a range of keys: the units compared, the end of the range, and the differences."""

    rows: Sequence[CurrentVersion]
    high: UnitKey
    last: bool
    differences: dict[UnitKey, Difference] = field(default_factory=dict)


class Reconciler:
    """Compares the versions in the API with those in the index, one range of keys at a time, in constant memory.

    A pending unit counts as a difference only after it has waited for a long time: most are merely being processed.
    A unit whose indexing failed must be absent from the index.

    An indexed unit that other rules have screened is queued as well. It does not count as a difference, since the index
    has lost nothing.

    Args:
        api: client of the API.
        inventory: reads the index.
        kind: the kind of the units.
        page: most units in one page of versions.
        screened_by: the rules by which this worker screens units; None if it does not.
    """

    def __init__(
        self,
        api: ConversationsAPI,
        inventory: MilvusInventory,
        kind: str,
        page: int = MAX_VERSIONS,
        *,
        screened_by: str | None,
    ) -> None:
        self._api = api
        self._inventory = inventory
        self._kind = kind
        self._page = page
        self._screened_by = screened_by

    async def step(
        self, run: IndexRun, checkpoint: RunCheckpoint, overdue_before: datetime | None
    ) -> tuple[RunCheckpoint, bool]:
        """Work for up to `STEP_S` seconds; return the new checkpoint and whether the kind is finished.

        Args:
            run: the run; its `since` and `force` determine what is compared and queued.
            checkpoint: where to start.
            overdue_before: pending units count as differences if they were queued before this time; None: all do.

        Raises:
            IndexingError: the API or Milvus does not answer.
        """
        deadline = time.monotonic() + STEP_S
        try:
            while True:
                found = await self._compare_twice(checkpoint.position(self._kind), run.since, overdue_before)
                queued = await self._queue(found, everything=run.force)
                kinds = list(found.differences.values())
                numbers = {kind.value: kinds.count(kind) for kind in Difference}
                checkpoint = checkpoint.advanced_to(found.high, checked=len(found.rows), repaired=queued, **numbers)
                if found.last or time.monotonic() >= deadline:
                    return checkpoint, found.last
        except (MHError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error

    async def _compare_twice(
        self, after: UnitKey, since: datetime | None, overdue_before: datetime | None
    ) -> Comparison:
        """Compare the units after `after`. Only differences seen twice count, as rows can change between two reads."""
        first = await self._compare(after, since, overdue_before)
        if not first.differences:
            return first
        second = await self._compare(after, since, overdue_before)
        high = min(first.high, second.high)
        both = {
            key: kind for key, kind in second.differences.items() if key <= high and first.differences.get(key) is kind
        }
        rows = [row for row in second.rows if row.key <= high]
        return Comparison(rows, high, last=first.last and second.last, differences=both)

    async def _compare(self, after: UnitKey, since: datetime | None, overdue_before: datetime | None) -> Comparison:
        page = await self._api.versions(after=after, limit=self._page, since=since)
        last_of_kind = last_key(self._kind)
        end = last_of_kind if page.next_after is None else page.next_after.of(self._kind)
        if since is None:
            inventory = await self._inventory.page(after, end)
        else:
            inventory = await self._inventory.find([row.key for row in page.items])
        high = end if since else inventory.high
        rows = [row for row in page.items if row.key <= high]
        return Comparison(
            rows, high, last=high == last_of_kind, differences=differences(rows, inventory, overdue_before)
        )

    async def _queue(self, found: Comparison, *, everything: bool) -> int:
        keys = set(found.differences)
        keys.update(row.key for row in found.rows if everything or self._is_to_be_screened(row))
        queued = 0
        for batch in batched(sorted(keys), MAX_BULK_ROWS):
            queued += await self._api.queue(batch)
        return queued

    def _is_to_be_screened(self, row: CurrentVersion) -> bool:
        return row.status is IndexStatus.INDEXED and row.screened_by != self._screened_by


def differences(
    rows: Collection[CurrentVersion], inventory: InventoryPage, overdue_before: datetime | None = None
) -> dict[UnitKey, Difference]:
    """Return how the index differs from the API in this range. `overdue_before`: see `Reconciler.step`."""
    found = dict.fromkeys(inventory.versions, Difference.ORPHANED)
    for row in rows:
        found.pop(row.key, None)
        if kind := _difference(row, inventory, overdue_before):
            found[row.key] = kind
    return found


def _difference(row: CurrentVersion, inventory: InventoryPage, overdue_before: datetime | None) -> Difference | None:
    key = row.key
    indexed = inventory.versions.get(key)
    if row.status is IndexStatus.PENDING and overdue_before is not None and row.queued_at >= overdue_before:
        return None
    if row.status is IndexStatus.FAILED:
        return None if indexed is None else Difference.STALE
    if indexed is None:
        return Difference.MISSING
    matches = indexed == row.version and key not in inventory.duplicates and row.status is IndexStatus.INDEXED
    return None if matches else Difference.STALE
