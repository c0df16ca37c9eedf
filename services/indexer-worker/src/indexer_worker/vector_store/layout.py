"""The collection of one kind: its schema, and making sure that it is there and is the right one."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias

from mh_common import vector_index as fields
from mh_common.units import UnitKey
from pymilvus import AsyncMilvusClient, CollectionSchema, MilvusException

from indexer_worker.errors import IndexMismatchError

Row: TypeAlias = dict[str, Any]


@dataclass(eq=False)
class Layout:
    """What a kind's collection looks like, and how its rows say of which unit they are.

    Every collection has the INT64 field `fields.VERSION`, and a unit keeps its primary key for as long as it exists.

    Attributes:
        kind: the kind.
        collection: its name or, on a server that was rebuilt once, that of its alias.
        source: INT64 field with the key of a row's source.
        ordinal: INT64 field with a unit's place in its source; None where each source is one unit.
        vectors: the fields with embeddings.
        schema: makes the schema from a model's name and the vectors' dimension.
        indexes: field, type and metric of each index.
    """

    kind: str
    collection: str
    source: str
    ordinal: str | None
    vectors: Sequence[str]
    schema: Callable[[str, int], CollectionSchema]
    indexes: Sequence[tuple[str, str, str]]

    @property
    def key_fields(self) -> list[str]:
        """The fields that say of which unit a row is."""
        return [self.source] if self.ordinal is None else [self.source, self.ordinal]

    def key_of(self, row: Mapping[str, Any]) -> UnitKey:
        """Return of which unit a row is."""
        return UnitKey(self.kind, row[self.source], 0 if self.ordinal is None else row[self.ordinal])

    def among(self, keys: Iterable[UnitKey]) -> str:
        """Return the filter of the rows of these units."""
        if self.ordinal is None:
            return f"{self.source} in {_numbers(key.source_id for key in keys)}"
        by_source = groupby(sorted(keys), lambda key: key.source_id)
        parts = ((source_id, _numbers(key.ordinal for key in units)) for source_id, units in by_source)
        return " or ".join(
            f"({self.source} == {source_id:d} and {self.ordinal} in {part})" for source_id, part in parts
        )

    def between(self, low: UnitKey, high: UnitKey) -> str:
        """Return the filter of the rows of units with low < key <= high."""
        above, below = f"{self.source} > {low.source_id:d}", f"{self.source} < {high.source_id:d}"
        if self.ordinal is None:
            return f"{above} and {self.source} <= {high.source_id:d}"
        same_low = f"{self.source} == {low.source_id:d} and {self.ordinal} > {low.ordinal:d}"
        same_high = f"{self.source} == {high.source_id:d} and {self.ordinal} <= {high.ordinal:d}"
        return f"({above} or ({same_low})) and ({below} or ({same_high}))"


def _numbers(numbers: Iterable[int]) -> str:
    return f"[{', '.join(f'{number:d}' for number in numbers)}]"


async def ensure(client: AsyncMilvusClient, layout: Layout, model: str, dimension: int, name: str) -> None:
    """Return once the collection of this name exists, fits, has its indexes and is loaded; creates what is missing.

    Safe to run in several processes at once, and again after a run that died half way.

    Raises:
        IndexMismatchError: the collection that exists has another model, dimension or fields.
        MilvusException: Milvus does not answer or refuses.
    """
    schema = layout.schema(model, dimension)
    if not await client.has_collection(name):
        try:
            await client.create_collection(name, schema=schema, consistency_level="Strong", retry_times=1)
        except MilvusException:
            # Another worker can have been faster; the check below looks at what it made.
            if not await client.has_collection(name):
                raise
    await check(client, layout, model, dimension, name)
    # Together: for each, the client waits half a second before it asks whether it is there.
    await asyncio.gather(*(_ensure_index(client, name, *index) for index in layout.indexes))
    await client.load_collection(name)


async def _ensure_index(client: AsyncMilvusClient, name: str, field: str, kind: str, metric: str) -> None:
    if not await client.list_indexes(name, field):
        index = client.prepare_index_params(field, index_type=kind, metric_type=metric)
        await client.create_index(name, index)


async def check(client: AsyncMilvusClient, layout: Layout, model: str, dimension: int, name: str) -> None:
    """Return when the collection that exists fits. One small request.

    Milvus Lite stores vectors of any length in a collection of any dimension: nobody else would notice.

    Raises:
        IndexMismatchError: it has another model, dimension or fields.
        MilvusException: there is none, or Milvus does not answer.
    """
    found = await client.describe_collection(name)
    has = {field["name"]: (field["type"], field["params"].get("dim")) for field in found["fields"]}
    description, wanted = fields.describe(model, dimension), _wanted(layout, dimension)
    wrong = sorted(name for name in wanted if has.get(name) != wanted[name])
    if found["description"] == description and not wrong:
        return
    raise IndexMismatchError(
        f"The Milvus collection {name} holds '{found['description']}'"
        + (f" (missing or different fields: {', '.join(wrong)})" if wrong else "")
        + f", but this release with these settings needs '{description}'. Build the index anew with: mh index "
        "rebuild (or put the EMBEDDING settings back, if they are what differs)"
    )


@lru_cache(maxsize=8)
def _wanted(layout: Layout, dimension: int) -> dict[str, tuple[Any, Any]]:
    """Return type and dimension of each field. Kept, since making a schema takes longer than asking for one."""
    return {field.name: (field.dtype, field.params.get("dim")) for field in layout.schema("", dimension).fields}
