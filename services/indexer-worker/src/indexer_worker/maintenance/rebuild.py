"""Rebuild: fill new collections and put them in the place of the live ones, losing no change that is made meanwhile."""

import time
from collections.abc import Callable
from typing import Final

from mh_client import MHError
from mh_common.batches import batched
from mh_common.models import IndexRun

from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError, IndexMismatchError, VectorStoreError
from indexer_worker.indexing.service import IndexService
from indexer_worker.maintenance.checkpoints import STEP_S, Checkpoint, Phase
from indexer_worker.maintenance.reconcile import Reconciler
from indexer_worker.vector_store.inventory import MilvusInventory
from indexer_worker.vector_store.layout import Layout
from indexer_worker.vector_store.replacement import CollectionReplacement

FILL_PAGE: Final = 256
BATCH: Final = 64

MakeTarget = Callable[[str], tuple[MilvusInventory, IndexService]]
"""Returns what reads and what writes the collection of this name."""


class Rebuilder:
    """Carries out the steps of a rebuild of one kind's collection.

    1. The new collection is filled from the API, in two passes, while jobs go on to write the live one.
    2. Readers are switched to it.
    3. It is compared with the API as in a reconciliation, and every difference is queued: what changed after it was
       copied. Until those jobs are done readers miss these rows, and never see a wrong one, as they compare versions.
    4. What was replaced is dropped.

    Where Milvus has no aliases, the live collection itself is emptied and filled, and marked so that readers can tell.
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

    async def step(self, run: IndexRun, checkpoint: Checkpoint, *, skip: bool = False) -> tuple[Checkpoint, bool]:
        """Work for some seconds; return where the run stands, and whether it is through with the kind.

        Args:
            run: the run.
            checkpoint: where to begin.
            skip: leave the next rows out of the filling, as they ended the process or took too long. The comparison
                queues them, and they then are jobs of their own.

        Raises:
            IndexingError: something does not answer.
        """
        try:
            if checkpoint.phase is Phase.BEGIN:
                target = await self._replacement.begin(checkpoint.run_id)
                checkpoint = checkpoint.entered(Phase.FILL, target)
            if checkpoint.phase in (Phase.FILL, Phase.CATCH_UP):
                return await self._fill(checkpoint, skip), False
            checkpoint, last = await self._reconciler.step(run, checkpoint, overdue=None)
            if last:
                await self._replacement.tidy()
        except (MHError, VectorStoreError, IndexMismatchError) as error:
            raise IndexingError(str(error)) from error
        return checkpoint, last

    async def _fill(self, checkpoint: Checkpoint, skip: bool) -> Checkpoint:
        """Write what the target lacks, for some seconds."""
        deadline = time.monotonic() + STEP_S
        kind = self._layout.kind
        inventory, service = self._make_target(checkpoint.target or self._layout.collection)
        while True:
            page = await self._api.versions(after=checkpoint.position(kind), limit=FILL_PAGE)
            versions = {row.key: row.version for row in page.items}
            held = (await inventory.of(list(versions))).versions
            wanted = [key for key, version in versions.items() if held.get(key) != version]
            for batch in batched(wanted, BATCH):
                if skip:
                    return checkpoint.moved(batch[-1])
                checkpoint = checkpoint.moved(batch[-1], repaired=await service.write(batch))
                if time.monotonic() >= deadline:
                    return checkpoint
            if page.next_after is None:
                return await self._filled(checkpoint)
            checkpoint = checkpoint.moved(page.next_after.of(kind))
            if time.monotonic() >= deadline:
                return checkpoint

    async def _filled(self, checkpoint: Checkpoint) -> Checkpoint:
        if checkpoint.phase is Phase.FILL:
            return checkpoint.entered(Phase.CATCH_UP)
        if checkpoint.target is not None and checkpoint.target != self._layout.collection:
            await self._replacement.switch(checkpoint.target, checkpoint.run_id)
        return checkpoint.entered(Phase.COMPARE)
