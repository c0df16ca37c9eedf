"""Rebuild: fill new collections and replace the live ones, without losing changes made in the meantime."""

import time
from collections.abc import Callable
from typing import Final

from mh_client import MHError
from mh_common.batches import batched
from mh_common.models import IndexRun

from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, IndexMismatchError, VectorStoreError
from indexer_worker.indexing.service import IndexService
from indexer_worker.maintenance.checkpoints import STEP_S, Phase, RunCheckpoint
from indexer_worker.maintenance.reconcile import Reconciler
from indexer_worker.vector_store.inventory import MilvusInventory
from indexer_worker.vector_store.layout import Layout
from indexer_worker.vector_store.replacement import CollectionReplacement

FILL_PAGE: Final = 256
BATCH: Final = 64

MakeTarget = Callable[[str], tuple[MilvusInventory, IndexService]]
"""Returns the reader and the writer of the collection with this name."""


class Rebuilder:
    """Executes the steps of rebuilding one kind's collection.

    1. The new collection is filled from the API, in two passes, while jobs continue to write to the live one.
    2. Readers are switched to it.
    3. It is compared with the API as in a reconciliation, and every difference is queued: the units that changed after
       they were copied. Until those jobs are done, readers miss these rows but never see an outdated one, as they
       compare versions.
    4. The replaced collection is dropped.

    If Milvus has no aliases, the live collection itself is emptied and filled, and a marker tells readers about it.
    """

    def __init__(
        self,
        api: ConversationsAPI,
        replacement: CollectionReplacement,
        reconciler: Reconciler,
        make_target: MakeTarget,
        layout: Layout,
    ) -> None:
        self._api = api
        self._layout = layout
        self._replacement = replacement
        self._reconciler = reconciler
        self._make_target = make_target

    async def step(self, run: IndexRun, checkpoint: RunCheckpoint, *, skip: bool = False) -> tuple[RunCheckpoint, bool]:
        """Work for up to `STEP_S` seconds; return the new checkpoint and whether the kind is finished.

        Args:
            run: the run.
            checkpoint: where to start.
            skip: do not write the next rows, because they crashed the process or took too long. The comparison queues
                them later as jobs of their own.

        Raises:
            IndexingError: the API or Milvus does not answer, or the collection does not match.
        """
        try:
            if checkpoint.phase is Phase.BEGIN:
                target = await self._replacement.begin(checkpoint.run_id)
                checkpoint = checkpoint.with_phase(Phase.FILL, target)
            if checkpoint.phase in (Phase.FILL, Phase.CATCH_UP):
                return await self._fill(checkpoint, skip), False
            checkpoint, last = await self._reconciler.step(run, checkpoint, overdue_before=None)
            if last:
                await self._replacement.drop_unused()
        except (MHError, VectorStoreError, IndexMismatchError) as error:
            raise IndexingError(str(error)) from error
        return checkpoint, last

    async def _fill(self, checkpoint: RunCheckpoint, skip: bool) -> RunCheckpoint:
        """Write rows that the target lacks, for up to `STEP_S` seconds."""
        deadline = time.monotonic() + STEP_S
        kind = self._layout.kind
        inventory, service = self._make_target(checkpoint.target or self._layout.collection)
        while True:
            page = await self._api.versions(after=checkpoint.position(kind), limit=FILL_PAGE)
            versions = {row.key: row.version for row in page.items}
            indexed = (await inventory.find(list(versions))).versions
            missing = [key for key, version in versions.items() if indexed.get(key) != version]
            for batch in batched(missing, BATCH):
                if skip:
                    return checkpoint.advanced_to(batch[-1])
                checkpoint = checkpoint.advanced_to(batch[-1], repaired=await service.write(batch))
                if time.monotonic() >= deadline:
                    return checkpoint
            if page.next_after is None:
                return await self._finish_pass(checkpoint)
            checkpoint = checkpoint.advanced_to(page.next_after.of(kind))
            if time.monotonic() >= deadline:
                return checkpoint

    async def _finish_pass(self, checkpoint: RunCheckpoint) -> RunCheckpoint:
        if checkpoint.phase is Phase.FILL:
            return checkpoint.with_phase(Phase.CATCH_UP)
        if checkpoint.target is not None and checkpoint.target != self._layout.collection:
            await self._replacement.switch(checkpoint.target, checkpoint.run_id)
        return checkpoint.with_phase(Phase.COMPARE)
