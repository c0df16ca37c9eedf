"""Convert Milvus search results into matches."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from mh_common import vector_index as fields
from mh_common.units import Unit, conversation_unit
from pymilvus.client.search_result import HybridHits

from rag_api.search.index import NEIGHBOURS, ComponentScores, Match

VECTORS: Final = [fields.EMBEDDING, fields.TEXT_EMBEDDING]
"""The vector fields that a result must include: of the question, and of question and answer together."""
_BLAS_THREADS_FROM: Final = 200_000
"""Multiplications of a matrix product that OpenBLAS still does in one thread (its limit is 262,144)."""


def component_scores(
    hits: HybridHits, vector: Sequence[float], keywords: Mapping[int, float] | None
) -> list[ComponentScores]:
    """Return the scores of each hit: cosine similarities of its vectors to the query's, its BM25 score, its crowding.

    `keywords` holds BM25 scores by id, 0 for ids that are missing; None if the mode does not use keywords.
    """
    if not hits:
        return []
    query = np.asarray(vector, np.float32)
    vectors = _vectors(hits)
    questions, texts = ((vectors[field] @ query).tolist() for field in VECTORS)
    shared = [None if keywords is None else keywords.get(key, 0.0) for key in hits.ids]
    crowding = _crowding(vectors[fields.TEXT_EMBEDDING])
    return [
        ComponentScores(_cosine(question), _cosine(text), score, _cosine(crowded))
        for question, text, score, crowded in zip(questions, texts, shared, crowding, strict=True)
    ]


def _crowding(vectors: npt.NDArray[np.float32]) -> list[float]:
    """Return the crowding of each hit, see `ComponentScores`."""
    count = min(NEIGHBOURS, len(vectors) - 1)
    if count == 0:
        return [0.0]
    # In blocks so small that BLAS uses one thread: several would spin while other requests wait for the processor.
    step = max(1, _BLAS_THREADS_FROM // vectors.size)
    cosines = np.concatenate([vectors[row : row + step] @ vectors.T for row in range(0, len(vectors), step)])
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)
    crowding: list[float] = (nearest - nearest.mean()).tolist()
    return crowding


def _vectors(hits: HybridHits) -> dict[str, npt.NDArray[np.float32]]:
    """Return the vectors of a result by field, each an array (hits, dimension), read from the protobuf message."""
    return {
        column.field_name: np.asarray(column.vectors.float_vector.data, np.float32).reshape(len(hits), -1)
        for column in hits.lazy_field_data
    }


def _cosine(value: float) -> float:
    # Round off float32 noise, so that equal texts have equal scores.
    return round(min(1.0, max(-1.0, value)), 6)


def to_matches(hits: HybridHits, evidence: Sequence[ComponentScores]) -> list[Match]:
    """Return the hits, which must include version and question hash, as matches with these scores."""
    matches = []
    for place, (key, fusion, found) in enumerate(zip(hits.ids, hits.distances, evidence, strict=True)):
        # By index: iterating over hits would first convert all vectors to Python floats.
        entity = hits.get_raw_item(place)["entity"]
        unit = Unit(conversation_unit(key), entity[fields.VERSION])
        matches.append(Match(unit, entity[fields.QUESTION_HASH], found, fusion, entity.get(fields.WORDS, "")))
    return matches
