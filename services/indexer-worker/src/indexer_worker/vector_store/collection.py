"""The vector collection: its schema, and making sure that it is there and is the right one."""

import asyncio
from functools import lru_cache
from typing import Any, Final

from mh_common import vector_index as fields
from mh_common.fields import OF_TEXT, ConversationField, Kind
from pymilvus import AsyncMilvusClient, CollectionSchema, DataType, Function, FunctionType, MilvusException

from indexer_worker.errors import IndexMismatchError

MAX_CHARACTER_BYTES: Final = 4
"""Of UTF-8; a server counts bytes."""

INDEXES: Final = (
    (fields.EMBEDDING, "AUTOINDEX", "COSINE"),
    (fields.TEXT_EMBEDDING, "AUTOINDEX", "COSINE"),
    (fields.SPARSE, "SPARSE_INVERTED_INDEX", "BM25"),
)
"""Field, type and metric. Scores of COSINE are those of the inner product, as the vectors have unit length."""


async def ensure_collection(
    client: AsyncMilvusClient, model: str, dimension: int, name: str = fields.COLLECTION
) -> None:
    """Return once the collection exists, fits, has its indexes and is loaded; creates what is missing.

    Safe to run in several processes at once, and again after a run that died half way.

    Raises:
        IndexMismatchError: the collection that exists has another model, dimension or fields.
        MilvusException: Milvus does not answer or refuses.
    """
    schema = collection_schema(model, dimension)
    if not await client.has_collection(name):
        try:
            await client.create_collection(name, schema=schema, consistency_level="Strong", retry_times=1)
        except MilvusException:
            # Another worker can have been faster; the check below looks at what it made.
            if not await client.has_collection(name):
                raise
    await check_collection(client, model, dimension, name)
    # Together: for each, the client waits half a second before it asks whether it is there.
    await asyncio.gather(*(_ensure_index(client, name, *index) for index in INDEXES))
    await client.load_collection(name)


async def _ensure_index(client: AsyncMilvusClient, name: str, field: str, kind: str, metric: str) -> None:
    if not await client.list_indexes(name, field):
        index = client.prepare_index_params(field, index_type=kind, metric_type=metric)
        await client.create_index(name, index)


def collection_schema(model: str, dimension: int) -> CollectionSchema:
    """Return the schema that `mh_common.vector_index` describes, for one embedding space."""
    schema = AsyncMilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=False, description=fields.describe(model, dimension)
    )
    schema.add_field(fields.ID, DataType.INT64, is_primary=True)
    for vector in (fields.EMBEDDING, fields.TEXT_EMBEDDING):
        schema.add_field(vector, DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field(fields.QUESTION, DataType.VARCHAR, max_length=fields.MAX_VARCHAR_BYTES)
    for number in (fields.QUESTION_HASH, fields.VERSION):
        schema.add_field(number, DataType.INT64)
    for field in fields.FILTERABLE:
        schema.add_field(field.name, **_type_of(field))
    schema.add_field(fields.WORDS, DataType.VARCHAR, max_length=fields.MAX_VARCHAR_BYTES)
    schema.add_field(
        fields.TEXT,
        DataType.VARCHAR,
        max_length=fields.MAX_VARCHAR_BYTES,
        enable_analyzer=True,
        analyzer_params=fields.ANALYZER,
    )
    schema.add_field(fields.SPARSE, DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=[fields.TEXT],
            output_field_names=[fields.SPARSE],
        )
    )
    return schema


def _type_of(field: ConversationField) -> dict[str, Any]:
    """Return the type of a field in Milvus, as arguments of `add_field`."""
    if field.kind is Kind.CHOICE:
        return {"datatype": DataType.VARCHAR, "max_length": max(len(choice.encode()) for choice in field.choices)}
    if field.kind in OF_TEXT:
        return {"datatype": DataType.VARCHAR, "max_length": MAX_CHARACTER_BYTES * field.max_length}
    return {"datatype": DataType.INT64}


async def check_collection(
    client: AsyncMilvusClient, model: str, dimension: int, name: str = fields.COLLECTION
) -> None:
    """Return when the collection that exists fits. One small request.

    Milvus Lite stores vectors of any length in a collection of any dimension: nobody else would notice.

    Raises:
        IndexMismatchError: it has another model, dimension or fields.
        MilvusException: there is none, or Milvus does not answer.
    """
    found = await client.describe_collection(name)
    has = {field["name"]: (field["type"], field["params"].get("dim")) for field in found["fields"]}
    description, wanted = fields.describe(model, dimension), _wanted(dimension)
    wrong = sorted(name for name in wanted if has.get(name) != wanted[name])
    if found["description"] == description and not wrong:
        return
    raise IndexMismatchError(
        f"The Milvus collection {name} holds '{found['description']}'"
        + (f" (missing or different fields: {', '.join(wrong)})" if wrong else "")
        + f", but this release with these settings needs '{description}'. Build the index anew with: mh index "
        "rebuild (or put the EMBEDDING settings back, if they are what differs)"
    )


@lru_cache(maxsize=1)
def _wanted(dimension: int) -> dict[str, tuple[Any, Any]]:
    """Return type and dimension of each field. Kept, since making a schema takes longer than asking for one."""
    schema = collection_schema("", dimension)
    return {field.name: (field.dtype, field.params.get("dim")) for field in schema.fields}
