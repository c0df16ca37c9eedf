"""The contract between the worker, which writes the vector collection, and rag-api, which reads it."""

import hashlib
from typing import Final

from mh_common import fields
from mh_common.text import normalized

COLLECTION: Final = "mental_health_embeddings_development"
"""Name that readers search and the worker writes: a collection or, on a server after the first rebuild, its alias."""


def rebuild_marker(collection: str) -> str:
    """Return the name of the empty collection that marks a rebuild in place, that is, on a Milvus without aliases."""
    return f"{collection}_rebuilding"


REBUILD_MARKER: Final = rebuild_marker(COLLECTION)
"""While this collection exists, `COLLECTION` is incomplete."""

ID: Final = fields.ID.name
"""INT64 primary key: the conversation's id in MySQL."""
EMBEDDING: Final = "embedding"
"""FLOAT_VECTOR of unit length, of the question. The metric is the cosine."""
TEXT_EMBEDDING: Final = "text_embedding"
"""FLOAT_VECTOR of unit length, of question and answer together: `embedded_text`. The metric is the cosine."""
QUESTION: Final = "question"
"""VARCHAR: the question as plain text, truncated to the field's limit. For inspection by hand, never shown to users."""
TEXT: Final = "text"
"""VARCHAR with `ANALYZER`: question and answer as plain text, truncated to the field's limit; input of BM25."""
SPARSE: Final = "text_bm25"
"""SPARSE_FLOAT_VECTOR that Milvus computes from `text` (BM25)."""
WORDS: Final = "words"
"""VARCHAR: `mh_common.stemming.indexed_words` of question and answer, truncated to the field's limit; for phrases and
excluded words. Milvus's own text match would do, but Milvus Lite does not have it."""
QUESTION_HASH: Final = "question_hash"
"""INT64: the same for equal questions, so that hits can be grouped by question."""
VERSION: Final = "version"
"""INT64: the conversation's version that was embedded."""
FILTERABLE: Final = tuple(field for field in fields.FIELDS if field is not fields.ID)
"""The other fields, stored for filtering in the form of `field_values.to_index_value`: choices, texts and URLs as
VARCHAR, timestamps and dates as INT64."""
QUESTION_SENTIMENT: Final = fields.QUESTION_SENTIMENT.name
ANSWER_SENTIMENT: Final = fields.ANSWER_SENTIMENT.name
CREATED_AT: Final = fields.CREATED_AT.name
UPDATED_AT: Final = fields.UPDATED_AT.name

ANALYZER: Final = {
    "tokenizer": "standard",
    "filter": [
        "lowercase",
        "asciifolding",
        {"type": "stop", "stop_words": ["_english_"]},
        {"type": "stemmer", "language": "english"},
    ],
}
"""How Milvus tokenizes `text` and queries for BM25."""

SCHEMA: Final = 7
"""Schema number, raised with each change to the fields' meaning or content; an index with another must be rebuilt."""

MAX_VARCHAR_BYTES: Final = 65_535
"""Milvus's limit for a VARCHAR field, in UTF-8 bytes."""


def rebuilt_collection(run_id: int, collection: str = COLLECTION) -> str:
    """Return the name of the collection that this rebuild fills; `collection` becomes its alias."""
    return f"{collection}_run{run_id}"


def replaced_collection(run_id: int, collection: str = COLLECTION) -> str:
    """Return the name under which this rebuild keeps the previous collection until it is done, if that was no alias."""
    return f"{collection}_before_run{run_id}"


def describe(model: str, dimension: int) -> str:
    """Return the collection's description: embedding model and dimension of its vectors, and the schema number."""
    return f"embedding={model};dimension={dimension};schema={SCHEMA}"


def embedded_text(question: str, answer: str) -> str:
    """Return the text whose vector is `text_embedding`, and which `text` contains, truncated."""
    return f"{question}\n\n{answer}"


def question_hash(question: str) -> int:
    """Return 63 bits of the question's SHA-256: non-negative, and the same in every process and release.

    Questions that read the same, in whatever normal form of Unicode, have the same hash.
    """
    return int.from_bytes(hashlib.sha256(normalized(question).encode()).digest()[:8], "big") >> 1


def truncate_to_bytes(text: str, limit: int = MAX_VARCHAR_BYTES) -> str:
    """Return the longest prefix of `text` that fits into `limit` bytes of UTF-8 without splitting a character."""
    if len(text) * 4 <= limit:
        return text
    return text[:limit].encode()[:limit].decode(errors="ignore")
