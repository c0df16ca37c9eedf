"""The contract between the worker, which writes the vector collection, and rag-api, which reads it."""

from typing import Final

COLLECTION: Final = "mental_health_embeddings_development"
"""What readers search and the worker writes: a collection or, on a server that was rebuilt once, an alias of one."""
REBUILDING: Final = f"{COLLECTION}_rebuilding"
"""Exists, empty, while `COLLECTION` is filled anew in place and lacks rows: where a server has no aliases."""

ID: Final = "id"
"""INT64 primary key: the conversation's id in MySQL."""
EMBEDDING: Final = "embedding"
"""FLOAT_VECTOR of unit length; inner product is the cosine similarity."""
QUESTION: Final = "question"
"""VARCHAR: the question, cut to what the field holds. For keyword search and a look by hand, never shown to users."""
TEXT: Final = "text"
"""VARCHAR with analyzer: question and answer, cut to what the field holds; the input of the BM25 function."""
SPARSE: Final = "text_bm25"
"""SPARSE_FLOAT_VECTOR that Milvus computes from `text` (BM25)."""
QUESTION_SENTIMENT: Final = "question_sentiment"
ANSWER_SENTIMENT: Final = "answer_sentiment"
QUESTION_HASH: Final = "question_hash"
"""INT64: equal for equal questions, so that hits can be grouped by question."""
VERSION: Final = "version"
"""INT64: the conversation's version that was embedded."""
CREATED_AT: Final = "created_at"
"""INT64: microseconds since 1970, UTC."""
UPDATED_AT: Final = "updated_at"
"""INT64: microseconds since 1970, UTC."""

MAX_VARCHAR_BYTES: Final = 65_535
"""Milvus's limit of a VARCHAR field, in UTF-8 bytes."""


def built_by(run_id: int) -> str:
    """Return the name of the collection that this rebuild fills. `COLLECTION` becomes its alias."""
    return f"{COLLECTION}_run{run_id}"


def replaced_by(run_id: int) -> str:
    """Return the name under which this rebuild keeps the former collection until it is done, if that was no alias."""
    return f"{COLLECTION}_before_run{run_id}"


def describe(model: str, dimension: int) -> str:
    """Return the collection's description: the embedding space that its vectors belong to."""
    return f"embedding={model};dimension={dimension}"


def cut_to_bytes(text: str, limit: int = MAX_VARCHAR_BYTES) -> str:
    """Return the longest prefix of `text` that fits `limit` bytes of UTF-8 and ends at a whole character."""
    if len(text) * 4 <= limit:
        return text
    return text[:limit].encode()[:limit].decode(errors="ignore")
