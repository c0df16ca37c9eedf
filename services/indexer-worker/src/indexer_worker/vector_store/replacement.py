"""Replaces the live collection by a new one: with an alias or, if Milvus has no aliases, in place."""

import re
from typing import Final

import structlog
from mh_common import vector_index as names
from pymilvus import AsyncMilvusClient, DataType, MilvusException

from indexer_worker.errors import IndexMismatchError
from indexer_worker.vector_store.calls import milvus_calls
from indexer_worker.vector_store.layout import Layout, ensure

log = structlog.get_logger(__name__)

INDEX_SWITCHED: Final = "index_switched"
"""Readers search the new collection from now on."""
COLLECTION_DROPPED: Final = "collection_dropped"

ALIAS_NOT_FOUND: Final = 1600


class CollectionReplacement:
    """Creates, switches and drops the collections of one kind.

    Args:
        client: created with `make_client`; the caller closes it.
        layout: the layout of the kind's collection.
        model, dimension: the embedding model and dimension of the new collection.
        timeout: of each method's calls, in seconds.
    """

    def __init__(
        self, client: AsyncMilvusClient, layout: Layout, *, model: str, dimension: int, timeout: float
    ) -> None:
        self._client = client
        self._layout = layout
        self._name = layout.collection
        self._marker_name = names.rebuild_marker(layout.collection)
        self._model = model
        self._dimension = dimension
        self._timeout = timeout

    async def begin(self, run_id: int) -> str:
        """Return the collection to fill: a new one or, without aliases, the live one, which is emptied once per run.

        Raises, as all methods of this class:
            VectorStoreError: Milvus does not answer or rejects a call; the same call may succeed later.
        """
        async with milvus_calls(self._timeout):
            if await self._has_aliases():
                target = names.rebuilt_collection(run_id, self._name)
                await self._ensure(target)
                return target
            if await self._emptied_by() != run_id:
                await self._write_marker(run_id)
                await self._client.drop_collection(self._name)
                # Recorded only now: if the run crashes before this, it empties the collection again.
                await self._write_marker(run_id, emptied=True)
            try:
                await self._ensure(self._name)
            except IndexMismatchError:
                # A worker with other settings created it first.
                await self._client.drop_collection(self._name)
                await self._ensure(self._name)
            return self._name

    async def switch(self, target: str, run_id: int) -> None:
        """Make readers search `target`. Can be called again if a call was interrupted."""
        async with milvus_calls(self._timeout):
            live = await self._live()
            if live == target:
                return
            if live is not None:
                await self._client.alter_alias(target, self._name)
            else:
                await self._free_alias_name(run_id)
                await self._client.create_alias(target, self._name)
        log.info(INDEX_SWITCHED, collection=target)

    async def drop_unused(self) -> None:
        """Drop the marker, and the collections of this and earlier rebuilds that readers do not search."""
        ours = re.compile(rf"{re.escape(self._name)}_(before_)?run\d+")
        async with milvus_calls(self._timeout):
            live = await self._live() if await self._has_aliases() else None
            for name in await self._client.list_collections():
                if (ours.fullmatch(name) and name != live) or name == self._marker_name:
                    await self._client.drop_collection(name)
                    log.info(COLLECTION_DROPPED, collection=name)

    async def _ensure(self, name: str) -> None:
        await ensure(self._client, self._layout, self._model, self._dimension, name)

    async def _has_aliases(self) -> bool:
        """Find out by a call that Milvus Lite does not implement.

        All other errors are raised: a wrong False would empty the live index.
        """
        try:
            await self._live()
        except Exception as error:  # an error of gRPC, which has no type information
            if _is_unimplemented(error):
                return False
            raise
        return True

    async def _live(self) -> str | None:
        """Return the collection that the alias points to; None if there is no such alias."""
        try:
            return str((await self._client.describe_alias(self._name))["collection_name"])
        except MilvusException as error:
            if error.code == ALIAS_NOT_FOUND:
                return None
            raise

    async def _free_alias_name(self, run_id: int) -> None:
        """Rename the collection that has the alias's name: there is one before the first rebuild."""
        if not await self._client.has_collection(self._name):
            return
        former = names.replaced_collection(run_id, self._name)
        if await self._client.has_collection(former):
            # A switch was interrupted after the rename, and another worker has since created an empty collection.
            await self._client.drop_collection(self._name)
        else:
            await self._client.rename_collection(self._name, former)

    async def _emptied_by(self) -> int | None:
        """Return the id of the run that has emptied the live collection and not finished filling it."""
        if not await self._client.has_collection(self._marker_name):
            return None
        found = re.fullmatch(
            r"run=(\d+);emptied", (await self._client.describe_collection(self._marker_name))["description"]
        )
        return int(found[1]) if found else None

    async def _write_marker(self, run_id: int, *, emptied: bool = False) -> None:
        description = f"run={run_id};emptied" if emptied else f"run={run_id}"
        schema = AsyncMilvusClient.create_schema(auto_id=False, description=description)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
        await self._client.drop_collection(self._marker_name)
        await self._client.create_collection(self._marker_name, schema=schema)


def _is_unimplemented(error: Exception) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", None) == "UNIMPLEMENTED"
