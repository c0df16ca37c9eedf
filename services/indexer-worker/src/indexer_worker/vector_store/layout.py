"""The layout of one kind's collection, and functions that create and check a collection by it."""

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
    """The schema of a kind's collection, and which of its fields identify the unit of a row.

    Every collection has the INT64 field `fields.VERSION`, and a unit keeps its primary key for as long as it exists.

    Attributes:
        kind: the kind.
        collection: name of the collection or, on a server after the first rebuild, of its alias.
        source: INT64 field with the source id of a row.
        ordinal: INT64 field with the unit's position in its source; None if each source is a single unit.
        vectors: the fields with embeddings.
        schema: builds the schema from the model's name and the dimension of the vectors.
        indexes: field, index type and metric of each index.
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
        """The fields that identify the unit of a row."""
        return [self.source] if self.ordinal is None else [self.source, self.ordinal]

    def key_of(self, row: Mapping[str, Any]) -> UnitKey:
        """Return the key of the unit that a row belongs to."""
        return UnitKey(self.kind, row[self.source], 0 if self.ordinal is None else row[self.ordinal])

    def keys_filter(self, keys: Iterable[UnitKey]) -> str:
        """Return the filter expression for the rows of these units."""
        if self.ordinal is None:
            return f"{self.source} in {_list_expression(key.source_id for key in keys)}"
        by_source = groupby(sorted(keys), lambda key: key.source_id)
        parts = ((source_id, _list_expression(key.ordinal for key in units)) for source_id, units in by_source)
        return " or ".join(
            f"({self.source} == {source_id:d} and {self.ordinal} in {part})" for source_id, part in parts
        )

    def range_filter(self, low: UnitKey, high: UnitKey) -> str:
        """Return the filter expression for the rows of units with low < key <= high."""
        above, below = f"{self.source} > {low.source_id:d}", f"{self.source} < {high.source_id:d}"
        if self.ordinal is None:
            return f"{above} and {self.source} <= {high.source_id:d}"
        same_low = f"{self.source} == {low.source_id:d} and {self.ordinal} > {low.ordinal:d}"
        same_high = f"{self.source} == {high.source_id:d} and {self.ordinal} <= {high.ordinal:d}"
        return f"({above} or ({same_low})) and ({below} or ({same_high}))"


def _list_expression(numbers: Iterable[int]) -> str:
    return f"[{', '.join(f'{number:d}' for number in numbers)}]"


async def ensure(client: AsyncMilvusClient, layout: Layout, model: str, dimension: int, name: str) -> None:
    """Create this collection and its indexes if they are missing, check it, and load it.

    Can run in several processes at once, and again after an interrupted run.

    Raises:
        IndexMismatchError: the existing collection has another model, dimension or fields.
        MilvusException: Milvus does not answer or rejects a call.
    """
    schema = layout.schema(model, dimension)
    if not await client.has_collection(name):
        try:
            await client.create_collection(name, schema=schema, consistency_level="Strong", retry_times=1)
        except MilvusException:
            # Another worker may have created it first; the check below verifies that it matches.
            if not await client.has_collection(name):
                raise
    await check(client, layout, model, dimension, name)
    # Concurrently, as for each index the client waits half a second before it asks whether the index exists.
    await asyncio.gather(*(_ensure_index(client, name, *index) for index in layout.indexes))
    await client.load_collection(name)


async def _ensure_index(client: AsyncMilvusClient, name: str, field: str, kind: str, metric: str) -> None:
    if not await client.list_indexes(name, field):
        index = client.prepare_index_params(field, index_type=kind, metric_type=metric)
        await client.create_index(name, index)


async def check(client: AsyncMilvusClient, layout: Layout, model: str, dimension: int, name: str) -> None:
    """Check that the existing collection matches, with one small request.

    Milvus Lite does not check this itself: it stores vectors of any length in a collection of any dimension.

    Raises:
        IndexMismatchError: the collection has another model, dimension or fields.
        MilvusException: it does not exist, or Milvus does not answer.
    """
    found = await client.describe_collection(name)
    actual = {field["name"]: (field["type"], field["params"].get("dim")) for field in found["fields"]}
    description, expected = fields.describe(model, dimension), _expected_fields(layout, dimension)
    wrong = sorted(name for name in expected if actual.get(name) != expected[name])
    if found["description"] == description and not wrong:
        return
    raise IndexMismatchError(
        f"The Milvus collection {name} contains '{found['description']}'"
        + (f" (missing or different fields: {', '.join(wrong)})" if wrong else "")
        + f", but this release needs '{description}' with these settings. Rebuild the index with: mh index rebuild "
        "(or restore the EMBEDDING settings, if they are what differs)"
    )


@lru_cache(maxsize=8)
def _expected_fields(layout: Layout, dimension: int) -> dict[str, tuple[Any, Any]]:
    """Return type and dimension of each field. Cached, since building a schema takes longer than fetching one."""
    return {field.name: (field.dtype, field.params.get("dim")) for field in layout.schema("", dimension).fields}
