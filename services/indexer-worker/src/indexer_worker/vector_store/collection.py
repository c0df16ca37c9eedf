"""The collection of conversations."""

from typing import Any, Final

from mh_common import vector_index as fields
from mh_common.fields import TEXT_KINDS, ConversationField, Kind
from mh_common.units import CONVERSATION
from pymilvus import AsyncMilvusClient, CollectionSchema, DataType, Function, FunctionType

from indexer_worker.vector_store.layout import Layout, ensure

MAX_CHARACTER_BYTES: Final = 4
"""Longest UTF-8 encoding of a character; a Milvus server counts `max_length` in bytes."""

INDEXES: Final = (
    (fields.EMBEDDING, "AUTOINDEX", "COSINE"),
    (fields.TEXT_EMBEDDING, "AUTOINDEX", "COSINE"),
    (fields.SPARSE, "SPARSE_INVERTED_INDEX", "BM25"),
)
"""Field, index type and metric. As vectors have unit length, COSINE gives the same scores as the inner product."""


def collection_schema(model: str, dimension: int) -> CollectionSchema:
    """Return the schema described in `mh_common.vector_index`, for one embedding model and dimension."""
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
    """Return the Milvus type of a field, as arguments of `add_field`."""
    if field.kind is Kind.CHOICE:
        return {"datatype": DataType.VARCHAR, "max_length": max(len(choice.encode()) for choice in field.choices)}
    if field.kind in TEXT_KINDS:
        return {"datatype": DataType.VARCHAR, "max_length": MAX_CHARACTER_BYTES * field.max_length}
    return {"datatype": DataType.INT64}


CONVERSATIONS: Final = Layout(
    kind=CONVERSATION,
    collection=fields.COLLECTION,
    source=fields.ID,
    ordinal=None,
    vectors=(fields.EMBEDDING, fields.TEXT_EMBEDDING),
    schema=collection_schema,
    indexes=INDEXES,
)


async def ensure_collection(
    client: AsyncMilvusClient, model: str, dimension: int, name: str = fields.COLLECTION
) -> None:
    """Create the collection of conversations if needed, check it and load it; see `layout.ensure`."""
    await ensure(client, CONVERSATIONS, model, dimension, name)
