"""The vector index in Milvus: searches, retried after transient errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from operator import itemgetter
from typing import Any, Final, TypeVar

import structlog
from mh_common import vector_index as fields
from mh_common.models import SearchMode
from pymilvus import AnnSearchRequest, AsyncMilvusClient, MilvusException, RRFRanker
from pymilvus.client.search_result import HybridHits

from rag_api.search.filters import (
    And,
    Compare,
    Condition,
    In,
    Not,
    Or,
    Phrase,
    Substring,
    to_milvus_expression,
    unresolved_leaves,
)
from rag_api.search.index import MAX_MATCHES, ComponentScores, IndexQuery, Match, VectorIndexError
from rag_api.search.milvus.collection import CollectionCheck
from rag_api.search.milvus.matches import VECTORS, component_scores, to_matches

T = TypeVar("T")

log = structlog.get_logger(__name__)

VECTOR_INDEX_FAILED: Final = "vector_index_failed"

GONE_CODES: Final = frozenset({100, 101})
"""Milvus's error codes for a collection that does not exist (100) or is not loaded (101)."""

BM25_REJECTED_CODE: Final = 2000
"""The error code with which Milvus Lite rejects BM25 searches of an empty collection (division by the number of rows)
and, for a moment, while rows are written: it counts rows and the rows of each word one after the other, so that in
between a word can occur in more rows than there are, and its negative weight is rejected."""

UNEXPECTED_ERROR_CODE: Final = 65535
"""The generic error code of a Milvus server. One cause is transient: the alias moved to another collection between a
search and the fetching of its vectors."""

TRANSIENT_CODES: Final = GONE_CODES | {BM25_REJECTED_CODE, UNEXPECTED_ERROR_CODE}
"""Error codes that a retry can fix."""

RETRY_DELAYS: Final = (0.0, 0.02, 0.1)
"""Seconds before each retry of a search that failed with a transient error."""

RRF_K: Final = 5
"""The constant k of reciprocal rank fusion, which selects the candidates. This small value measured best (ADR 21)."""

QUERY_LIMIT: Final = 16_384
"""Milvus silently truncates the result of one query to this number of rows."""

QUESTION: Final = "question"
TEXT: Final = "text"
KEYWORDS: Final = "keywords"
PARTS: Final = {
    SearchMode.HYBRID: (QUESTION, TEXT, KEYWORDS),
    SearchMode.SEMANTIC: (QUESTION, TEXT),
    SearchMode.KEYWORD: (KEYWORDS,),
}
_FIELD_OF: Final = {QUESTION: fields.EMBEDDING, TEXT: fields.TEXT_EMBEDDING, KEYWORDS: fields.SPARSE}

_MATCH_FIELDS: Final = [fields.VERSION, fields.QUESTION_HASH]


class MilvusIndex:
    """The `VectorIndex` in Milvus. It is bound to the event loop that first uses it.

    Milvus fuses the parts by rank and returns the candidates with their vectors. Cosine similarities are computed here
    from these vectors, and BM25 scores are queried by id, so that each candidate has a score in every part, whichever
    part found it.

    Args:
        client: made with `mh_common.milvus.make_client`; the caller closes it.
        model, dimension: the embedding model of the query vectors. A collection built with another one is rejected.
        consistency: Milvus's consistency level for searches.
        timeout: timeout of each method call, in seconds.
    """

    def __init__(
        self, client: AsyncMilvusClient, *, model: str, dimension: int, consistency: str, timeout: float
    ) -> None:
        self._client = client
        self._collection = CollectionCheck(client, model, dimension)
        self._options = {"consistency_level": consistency, "retry_times": 1}
        self._timeout = timeout

    @property
    def rebuilding(self) -> bool:
        """See `VectorIndex.rebuilding`."""
        return self._collection.rebuilding

    async def check(self) -> None:
        """See `VectorIndex.check`."""
        self._collection.invalidate()
        async with self._mapped_errors():
            await self._collection.exists()

    async def search(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        """See `VectorIndex.search`."""
        async with self._mapped_errors():
            return await self._with_retries(
                partial(self._search_matches, query, min(limit, MAX_MATCHES), condition), []
            )

    async def ranks(self, query: IndexQuery, limit: int, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        """See `VectorIndex.ranks`."""
        async with self._mapped_errors():
            return await self._with_retries(partial(self._search_ranks, query, limit, condition), {})

    async def _with_retries(self, work: Callable[[], Awaitable[T]], if_empty: T) -> T:
        """Run `work`, retrying transient errors; return `if_empty` if the collection is empty."""
        for pause in RETRY_DELAYS:
            try:
                return await work()
            except MilvusException as error:
                # The collection may have been replaced.
                self._collection.invalidate()
                if error.code == BM25_REJECTED_CODE and await self._collection.exists() and await self._is_empty():
                    return if_empty
                if error.code not in TRANSIENT_CODES:
                    raise
            await asyncio.sleep(pause)
        return await work()

    async def _search_matches(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        if not await self._collection.exists():
            return []
        filter_expression = await self._to_expression(condition)
        if query.mode is SearchMode.KEYWORD:
            hits = await self._search_part(KEYWORDS, query, limit, filter_expression, _MATCH_FIELDS)
            return to_matches(hits, [ComponentScores(keywords=max(0.0, score)) for score in hits.distances])
        hits = await self._hybrid_search(query, limit, filter_expression)
        keywords: Mapping[int, float] | None = None
        if query.mode is SearchMode.HYBRID and hits:
            id_filter = to_milvus_expression(In(fields.ID, hits.ids))
            scored = await self._search_part(KEYWORDS, query, len(hits), id_filter)
            keywords = {key: max(0.0, score) for key, score in zip(scored.ids, scored.distances, strict=True)}
        return to_matches(hits, component_scores(hits, query.vector or [], keywords))

    async def _search_ranks(
        self, query: IndexQuery, limit: int, condition: Condition
    ) -> Mapping[str, Mapping[int, int]]:
        if not await self._collection.exists():
            return {}
        filter_expression = await self._to_expression(condition)
        ranks: dict[str, dict[int, int]] = {}
        for part in PARTS[query.mode]:
            hits = await self._search_part(part, query, limit, filter_expression)
            ranks[part] = {key: rank for rank, key in enumerate(hits.ids, start=1)}
        return ranks

    async def _hybrid_search(self, query: IndexQuery, limit: int, filter_expression: str) -> HybridHits:
        requests = [
            AnnSearchRequest(_query_data(part, query), _FIELD_OF[part], {}, limit, expr=filter_expression or None)
            for part in PARTS[query.mode]
        ]
        answer = await self._client.hybrid_search(
            fields.COLLECTION,
            requests,
            RRFRanker(RRF_K),
            limit,
            output_fields=[*_MATCH_FIELDS, *VECTORS, *([fields.WORDS] if query.mode is SearchMode.HYBRID else [])],
            **self._options,
        )
        hits: HybridHits = answer[0]
        return hits

    async def _search_part(
        self, part: str, query: IndexQuery, limit: int, filter_expression: str, output_fields: Sequence[str] = ()
    ) -> HybridHits:
        answer = await self._client.search(
            fields.COLLECTION,
            data=_query_data(part, query),
            filter=filter_expression,
            limit=limit,
            anns_field=_FIELD_OF[part],
            output_fields=list(output_fields),
            **self._options,
        )
        hits: HybridHits = answer[0]
        return hits

    async def _is_empty(self) -> bool:
        rows = await self._client.query(
            fields.COLLECTION, filter=f"{fields.ID} > 0", output_fields=["count(*)"], **self._options
        )
        return int(rows[0]["count(*)"]) == 0

    async def _to_expression(self, condition: Condition) -> str:
        """Return the condition as a Milvus expression, with unresolved leaves replaced by the matching ids."""
        ids = {one: await self._matching_ids(one) for one in unresolved_leaves(condition)}
        return to_milvus_expression(_substitute_ids(condition, ids))

    async def _matching_ids(self, one: Phrase | Substring) -> list[int]:
        """Return the ids of all rows that match."""
        if isinstance(one, Phrase):
            return [row[fields.ID] for row in await self._all_rows(to_milvus_expression(one), [fields.ID])]
        rows = await self._all_rows(to_milvus_expression(one.superset), [fields.ID, one.field])
        return [row[fields.ID] for row in rows if one.matches(row[one.field])]

    async def _all_rows(
        self, filter_expression: str, output_fields: Sequence[str], low: int = 0, high: int = 2**63 - 1
    ) -> list[dict[str, Any]]:
        """Return the given fields of all rows that match the expression and have an id in (low, high]."""
        bounds = to_milvus_expression(And([Compare(fields.ID, ">", low), Compare(fields.ID, "<=", high)]))
        found = await self._client.query(
            fields.COLLECTION,
            filter=f"{bounds} and ({filter_expression})",
            output_fields=list(output_fields),
            limit=QUERY_LIMIT,
            **self._options,
        )
        rows = sorted(found, key=itemgetter(fields.ID))
        if len(rows) < QUERY_LIMIT:
            return rows
        # The result was truncated arbitrarily: split the id range at the median, so that each half has fewer rows.
        middle = rows[len(rows) // 2][fields.ID]
        return [
            *await self._all_rows(filter_expression, output_fields, low, middle),
            *await self._all_rows(filter_expression, output_fields, middle, high),
        ]

    @asynccontextmanager
    async def _mapped_errors(self) -> AsyncIterator[None]:
        """Apply the timeout, and map every error to VectorIndexError."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except VectorIndexError:
            raise
        except Exception as error:  # pymilvus raises its own errors and those of gRPC
            self._collection.invalidate()
            log.warning(VECTOR_INDEX_FAILED, error=type(error).__name__, code=str(getattr(error, "code", None)))
            reason = "did not answer in time" if isinstance(error, TimeoutError) else "is unavailable"
            raise VectorIndexError(f"The vector index (Milvus) {reason}.", retry_after=5) from error


def _query_data(part: str, query: IndexQuery) -> list[Any]:
    return [query.text] if part == KEYWORDS else [list(query.vector or [])]


def _substitute_ids(condition: Condition, ids: Mapping[Phrase | Substring, Sequence[int]]) -> Condition:
    if isinstance(condition, Not):
        return In(fields.ID, ids[condition.operand], negated=True)
    if isinstance(condition, Substring) and condition in ids:
        return In(fields.ID, ids[condition])
    if isinstance(condition, And | Or):
        return type(condition)([_substitute_ids(part, ids) for part in condition.operands])
    return condition
