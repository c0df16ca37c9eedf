"""Putting a new collection in the place of the live one: by an alias, or in place where Milvus has no aliases."""

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
    """Makes, switches and drops whole collections of one kind.

    Args:
        client: made with `make_client`; closed by who made it.
        layout: of the kind's collection.
        model, dimension: the embedding space of the new collection.
        timeout: seconds until a call is given up.
    """

    def __init__(
        self, client: AsyncMilvusClient, layout: Layout, *, model: str, dimension: int, timeout: float
    ) -> None:
        self._client = client
        self._layout = layout
        self._name = layout.collection
        self._mark_name = names.rebuilding(layout.collection)
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
                target = names.built_by(run_id, self._name)
                await self._ensure(target)
                return target
            if await self._marked_by() != run_id:
                await self._mark(run_id)
                await self._client.drop_collection(self._name)
                # Said only now: a run that dies before empties again.
                await self._mark(run_id, emptied=True)
            try:
                await self._ensure(self._name)
            except IndexMismatchError:
                # A worker with other settings was faster.
                await self._client.drop_collection(self._name)
                await self._ensure(self._name)
            return self._name

    async def switch(self, target: str, run_id: int) -> None:
        """Let readers search `target`. May be called again after a call that died half way."""
        async with milvus_calls(self._timeout):
            live = await self._live()
            if live == target:
                return
            if live is not None:
                await self._client.alter_alias(target, self._name)
            else:
                await self._make_way(run_id)
                await self._client.create_alias(target, self._name)
        log.info(INDEX_SWITCHED, collection=target)

    async def tidy(self) -> None:
        """Drop the collections of this and of former rebuilds that are not searched, and the mark of a rebuild."""
        ours = re.compile(rf"{re.escape(self._name)}_(before_)?run\d+")
        async with milvus_calls(self._timeout):
            live = await self._live() if await self._has_aliases() else None
            for name in await self._client.list_collections():
                if (ours.fullmatch(name) and name != live) or name == self._mark_name:
                    await self._client.drop_collection(name)
                    log.info(COLLECTION_DROPPED, collection=name)

    async def _ensure(self, name: str) -> None:
        await ensure(self._client, self._layout, self._model, self._dimension, name)

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
            return str((await self._client.describe_alias(self._name))["collection_name"])
        except MilvusException as error:
            if error.code == ALIAS_NOT_FOUND:
                return None
            raise

    async def _make_way(self, run_id: int) -> None:
        """Rename a collection that has the alias's name: it was made before the first rebuild."""
        if not await self._client.has_collection(self._name):
            return
        former = names.replaced_by(run_id, self._name)
        if await self._client.has_collection(former):
            # A switch died between its two calls, and another worker made an empty collection since.
            await self._client.drop_collection(self._name)
        else:
            await self._client.rename_collection(self._name, former)

    async def _marked_by(self) -> int | None:
        """Return the run that emptied the live collection and has not filled it yet."""
        if not await self._client.has_collection(self._mark_name):
            return None
        found = re.fullmatch(
            r"run=(\d+);emptied", (await self._client.describe_collection(self._mark_name))["description"]
        )
        return int(found[1]) if found else None

    async def _mark(self, run_id: int, *, emptied: bool = False) -> None:
        description = f"run={run_id};emptied" if emptied else f"run={run_id}"
        schema = AsyncMilvusClient.create_schema(auto_id=False, description=description)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
        await self._client.drop_collection(self._mark_name)
        await self._client.create_collection(self._mark_name, schema=schema)


def _is_unimplemented(error: Exception) -> bool:
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", None) == "UNIMPLEMENTED"
