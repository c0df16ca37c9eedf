"""Rebuild: fill a new collection and put it in the place of the live one, losing no change that is made meanwhile."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from mh_client import AsyncClient, MHError
from mh_common import vector_index as names
from mh_common.models import IndexRun
from pymilvus import AsyncMilvusClient, DataType, MilvusException

from indexer_worker.collection import ensure_collection
from indexer_worker.contents import MilvusContents
from indexer_worker.errors import IndexingError, IndexMismatchError, VectorStoreError
from indexer_worker.reconcile import Reconciler
from indexer_worker.repository import milvus_calls
from indexer_worker.service import IndexService
from indexer_worker.steps import STEP_S, Phase, Step

log = structlog.get_logger(__name__)

INDEX_SWITCHED: Final = "index_switched"
"""Readers search the new collection from now on."""
COLLECTION_DROPPED: Final = "collection_dropped"

ALIAS_NOT_FOUND: Final = 1600
FILL_PAGE: Final = 256
BATCH: Final = 64

_OURS: Final = re.compile(rf"{re.escape(names.COLLECTION)}_(before_)?run\d+")


class Collections:
    """Makes, switches and drops whole collections.

    Args:
        client: made with `make_client`; closed by who made it.
        model, dimension: the embedding space of the new collection.
        timeout: seconds until a call is given up.
    """

    def __init__(self, client: AsyncMilvusClient, *, model: str, dimension: int, timeout: float) -> None:
        self._client = client
        self._model = model
        self._dimension = dimension
        self._timeout = timeout

    async def begin(self, run_id: int) -> str:
        """Return the collection to fill: a new one or, without aliases, the live one, emptied once for this run.

        Raises, as every method here:
            VectorStoreError: Milvus does not answer, or refuses; the same call can succeed later.
        """
        async with milvus_calls(self._timeout):
            if await self._has_aliases():
                await ensure_collection(self._client, self._model, self._dimension, names.built_by(run_id))
                return names.built_by(run_id)
            if await self._marked_by() != run_id:
                await self._mark(run_id)
                await self._client.drop_collection(names.COLLECTION)
                # Said only now: a run that dies before empties again.
                await self._mark(run_id, emptied=True)
            try:
                await ensure_collection(self._client, self._model, self._dimension)
            except IndexMismatchError:
                # A worker with other settings was faster.
                await self._client.drop_collection(names.COLLECTION)
                await ensure_collection(self._client, self._model, self._dimension)
            return names.COLLECTION

    async def switch(self, target: str, run_id: int) -> None:
        """Let readers search `target`. May be called again after a call that died half way."""
        async with milvus_calls(self._timeout):
            live = await self._live()
            if live == target:
                return
            if live is not None:
                await self._client.alter_alias(target, names.COLLECTION)
            else:
                await self._make_way(run_id)
                await self._client.create_alias(target, names.COLLECTION)
        log.info(INDEX_SWITCHED, collection=target)

    async def tidy(self) -> None:
        """Drop the collections of this and of former rebuilds that are not searched, and the mark of a rebuild."""
        async with milvus_calls(self._timeout):
            live = await self._live() if await self._has_aliases() else None
            for name in await self._client.list_collections():
                if (_OURS.fullmatch(name) and name != live) or name == names.REBUILDING:
                    await self._client.drop_collection(name)
                    log.info(COLLECTION_DROPPED, collection=name)

    async def _has_aliases(self) -> bool:
        """Try: Milvus Lite knows no such call. Any other error is no answer, as a wrong no empties the live index."""
        try:
            await self._live()
        except Exception as error:  # gRPC's own, which ships no types
            if _is_unimplemented(error):
                return False
            raise
        return True

    async def _live(self) -> str | None:
        """Return the collection behind the alias; None where there is no alias of that name."""
        try:
            return str((await self._client.describe_alias(names.COLLECTION))["collection_name"])
        except MilvusException as error:
            if error.code == ALIAS_NOT_FOUND:
                return None
            raise

    async def _make_way(self, run_id: int) -> None:
        """Rename a collection that has the alias's name: it was made before the first rebuild."""
        if not await self._client.has_collection(names.COLLECTION):
            return
        former = names.replaced_by(run_id)
        if await self._client.has_collection(former):
            # A switch died between its two calls, and another worker made an empty collection since.
            await self._client.drop_collection(names.COLLECTION)
        else:
            await self._client.rename_collection(names.COLLECTION, former)

    async def _marked_by(self) -> int | None:
        """Return the run that emptied the live collection and has not filled it yet."""
        if not await self._client.has_collection(names.REBUILDING):
            return None
        found = re.fullmatch(
            r"run=(\d+);emptied", (await self._client.describe_collection(names.REBUILDING))["description"]
        )
        return int(found[1]) if found else None

    async def _mark(self, run_id: int, *, emptied: bool = False) -> None:
        description = f"run={run_id};emptied" if emptied else f"run={run_id}"
        schema = AsyncMilvusClient.create_schema(auto_id=False, description=description)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
        await self._client.drop_collection(names.REBUILDING)
        await self._client.create_collection(names.REBUILDING, schema=schema)


MakeTarget = Callable[[str], tuple[MilvusContents, IndexService]]
"""Returns what reads and what writes the collection of this name."""


class Rebuilder:
    """Carries out the steps of a rebuild.

    1. The new collection is filled from the API, in two passes, while jobs go on to write the live one.
    2. Readers are switched to it.
    3. It is compared with the API as in a reconciliation, and every difference is queued: what changed after it was
       copied. Until those jobs are done readers miss these rows, and never see a wrong one, as they compare versions.
    4. What was replaced is dropped.

    Where Milvus has no aliases, the live collection itself is emptied and filled, and marked so that readers can tell.
    """

    def __init__(
        self, conversations: AsyncClient, collections: Collections, reconciler: Reconciler, make_target: MakeTarget
    ) -> None:
        self._conversations = conversations
        self._collections = collections
        self._reconciler = reconciler
        self._make_target = make_target

    async def step(self, run: IndexRun, step: Step, *, skip: bool = False) -> tuple[Step, bool]:
        """Work for some seconds; return where the run stands, and whether it is through.

        Args:
            run: the run.
            step: where to begin.
            skip: leave the next rows out of the filling, as they ended the process or took too long. The comparison
                queues them, and they then are jobs of their own.

        Raises:
            IndexingError: something does not answer.
        """
        try:
            if step.phase is Phase.BEGIN:
                target = await self._collections.begin(step.run_id)
                step = step.entered(Phase.FILL, target)
            if step.phase in (Phase.FILL, Phase.CATCH_UP):
                return await self._fill(step, skip), False
            step, last = await self._reconciler.step(run, step, overdue=None)
            if last:
                await self._collections.tidy()
        except (MHError, VectorStoreError, IndexMismatchError) as error:
            raise IndexingError(str(error)) from error
        return step, last

    async def _fill(self, step: Step, skip: bool) -> Step:
        """Write what the target lacks, for some seconds."""
        deadline = time.monotonic() + STEP_S
        contents, service = self._make_target(step.target or names.COLLECTION)
        while True:
            page = await self._conversations.index.versions(after=step.after, limit=FILL_PAGE)
            versions = {row.conversation_id: row.version for row in page.items}
            held = (await contents.of(list(versions))).versions
            wanted = [key for key, version in versions.items() if held.get(key) != version]
            for batch in _batches(wanted):
                if skip:
                    return step.moved(batch[-1])
                step = step.moved(batch[-1], repaired=await service.write(batch))
                if time.monotonic() >= deadline:
                    return step
            if page.next_after is None:
                return await self._filled(step)
            step = step.moved(page.next_after)
            if time.monotonic() >= deadline:
                return step

    async def _filled(self, step: Step) -> Step:
        if step.phase is Phase.FILL:
            return step.entered(Phase.CATCH_UP)
        if step.target is not None and step.target != names.COLLECTION:
            await self._collections.switch(step.target, step.run_id)
        return step.entered(Phase.COMPARE)


def _is_unimplemented(error: Exception) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", None) == "UNIMPLEMENTED"


def _batches(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
