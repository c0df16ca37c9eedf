"""Reconciliation: compare the index with the truth, kind by kind, and queue the differences."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mh_client import MHError
from mh_common.batches import batched
from mh_common.models import MAX_BULK_ROWS, MAX_VERSIONS, IndexRun, PresentVersion
from mh_common.units import IndexStatus, UnitKey, after_all

from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, VectorStoreError
from indexer_worker.maintenance.checkpoints import STEP_S, Checkpoint
from indexer_worker.vector_store.inventory import MilvusInventory, Window


class Difference(StrEnum):
    """How the index can differ from what there is; the names are those of the run's counts."""

    MISSING = "missing"
    STALE = "stale"
    ORPHANED = "orphaned"


@dataclass(frozen=True)
class Comparison:
    """One stretch of keys: the units looked at, up to which key, and what differs."""

    rows: Sequence[PresentVersion]
    high: UnitKey
    last: bool
    differences: dict[UnitKey, Difference] = field(default_factory=dict)


class Reconciler:
    """Compares the versions in the API with those in the index, stretch after stretch of keys, in constant memory.

    A unit that waits for the index is no difference before it has waited for long: most are merely under way.
    One whose indexing failed is as it should be when the index does not hold it.
    """

    def __init__(self, api: ConversationsAPI, inventory: MilvusInventory, kind: str, page: int = MAX_VERSIONS) -> None:
        self._api = api
        self._inventory = inventory
        self._kind = kind
        self._page = page

    async def step(self, run: IndexRun, checkpoint: Checkpoint, overdue: datetime | None) -> tuple[Checkpoint, bool]:
        """Work for some seconds; return where the run stands, and whether it is through with the kind.

        Args:
            run: the run; its `since` and `force` say what is looked at and queued.
            checkpoint: where to begin.
            overdue: units that were queued before this time, and still wait, count as stale; None: all do.

        Raises:
            IndexingError: the API or Milvus does not answer.
        """
        deadline = time.monotonic() + STEP_S
        try:
            while True:
                found = await self._confirmed(checkpoint.position(self._kind), run.since, overdue)
                queued = await self._queue(found, everything=run.force)
                kinds = list(found.differences.values())
                numbers = {kind.value: kinds.count(kind) for kind in Difference}
                checkpoint = checkpoint.moved(found.high, checked=len(found.rows), repaired=queued, **numbers)
                if found.last or time.monotonic() >= deadline:
                    return checkpoint, found.last
        except (MHError, VectorStoreError) as error:
            raise IndexingError(str(error), getattr(error, "retry_after", None)) from error

    async def _confirmed(self, after: UnitKey, since: datetime | None, overdue: datetime | None) -> Comparison:
        """Compare the units behind `after`. Differences count that are seen twice: rows move between two reads."""
        first = await self._compared(after, since, overdue)
        if not first.differences:
            return first
        second = await self._compared(after, since, overdue)
        high = min(first.high, second.high)
        both = {
            key: kind for key, kind in second.differences.items() if key <= high and first.differences.get(key) is kind
        }
        rows = [row for row in second.rows if row.key <= high]
        return Comparison(rows, high, last=first.last and second.last, differences=both)

    async def _compared(self, after: UnitKey, since: datetime | None, overdue: datetime | None) -> Comparison:
        page = await self._api.versions(after=after, limit=self._page, since=since)
        behind_all = after_all(self._kind)
        end = behind_all if page.next_after is None else page.next_after.of(self._kind)
        if since is None:
            window = await self._inventory.window(after, end)
        else:
            window = await self._inventory.of([row.key for row in page.items])
        high = end if since else window.high
        rows = [row for row in page.items if row.key <= high]
        return Comparison(rows, high, last=high == behind_all, differences=differences(rows, window, overdue))

    async def _queue(self, found: Comparison, *, everything: bool) -> int:
        keys = set(found.differences)
        if everything:
            keys.update(row.key for row in found.rows)
        queued = 0
        for batch in batched(sorted(keys), MAX_BULK_ROWS):
            queued += await self._api.queue(batch)
        return queued


def differences(
    rows: Collection[PresentVersion], window: Window, overdue: datetime | None = None
) -> dict[UnitKey, Difference]:
    """Return how the window differs from the units of the same keys. `overdue`: see `Reconciler.step`."""
    found = dict.fromkeys(window.versions, Difference.ORPHANED)
    for row in rows:
        found.pop(row.key, None)
        if kind := _difference(row, window, overdue):
            found[row.key] = kind
    return found


def _difference(row: PresentVersion, window: Window, overdue: datetime | None) -> Difference | None:
    key = row.key
    indexed = window.versions.get(key)
    if row.status is IndexStatus.PENDING and overdue is not None and row.queued_at >= overdue:
        return None
    if row.status is IndexStatus.FAILED:
        return None if indexed is None else Difference.STALE
    if indexed is None:
        return Difference.MISSING
    agrees = indexed == row.version and key not in window.copied and row.status is IndexStatus.INDEXED
    return None if agrees else Difference.STALE
