"""What an answer of Milvus says of each conversation in it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from mh_common import vector_index as fields
from pymilvus.client.search_result import HybridHits

from rag_api.search.index import Evidence, Match

VECTORS: Final = [fields.EMBEDDING, fields.TEXT_EMBEDDING]
"""The fields whose vectors an answer must carry: that of the question, and that of question and answer."""


def evidence_of(hits: HybridHits, vector: Sequence[float], keywords: Mapping[int, float] | None) -> list[Evidence]:
    """Return what the parts say of each hit: cosines of its vectors with the query's, and its BM25 score by id.

    `keywords` is None where words were not asked for; a hit that is not among them shares none.
    """
    if not hits:
        return []
    query = np.asarray(vector, np.float32)
    vectors = _vectors(hits)
    questions, texts = ((vectors[field] @ query).tolist() for field in VECTORS)
    shared = [None if keywords is None else keywords.get(key, 0.0) for key in hits.ids]
    return [
        Evidence(_cosine(question), _cosine(text), score)
        for question, text, score in zip(questions, texts, shared, strict=True)
    ]


def _vectors(hits: HybridHits) -> dict[str, npt.NDArray[np.float32]]:
    """Return the vectors of an answer by field, each an array (hits, dimension), as they lie in the message."""
    return {
        column.field_name: np.asarray(column.vectors.float_vector.data, np.float32).reshape(len(hits), -1)
        for column in hits.lazy_field_data
    }


def _cosine(value: float) -> float:
    # float32 noise is rounded away, so that equal texts have equal scores.
    return round(min(1.0, max(-1.0, value)), 6)


def matches_of(hits: HybridHits, evidence: Sequence[Evidence]) -> list[Match]:
    """Return the hits, which carry version and hash of their question, as matches with this evidence."""
    matches = []
    for place, (key, fusion, found) in enumerate(zip(hits.ids, hits.distances, evidence, strict=True)):
        # By its place: to iterate over hits makes Python floats of all their vectors first.
        entity = hits.get_raw_item(place)["entity"]
        matches.append(Match(key, entity[fields.VERSION], entity[fields.QUESTION_HASH], found, fusion))
    return matches
