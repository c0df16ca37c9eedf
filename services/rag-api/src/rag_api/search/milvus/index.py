"""The vector index in Milvus: what is asked of it, again where it refuses for a reason that passes."""

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
    Among,
    Compared,
    Condition,
    Either,
    Every,
    Part,
    Phrase,
    Without,
    expression,
    unwritten,
)
from rag_api.search.index import MAX_MATCHES, Evidence, IndexQuery, Match, VectorIndexError
from rag_api.search.milvus.collection import CollectionCheck
from rag_api.search.milvus.matches import VECTORS, evidence_of, matches_of

T = TypeVar("T")

log = structlog.get_logger(__name__)

VECTOR_INDEX_FAILED: Final = "vector_index_failed"

REPLACED: Final = frozenset({100, 101})
"""Milvus's codes for a collection that is not there, and for one that is not loaded."""

UNCLEAR: Final = 2000
"""The code with which Milvus Lite refuses BM25 on a collection without rows, as it divides by their number; and, for a
moment, while rows are written: it counts rows and the rows of each word one after the other, and a search between the
two that finds a word in more rows than there are has a weight below zero, which is refused."""

UNEXPECTED: Final = 65535
"""A server's code for what it has no other for: a search among it whose vectors are fetched when the alias has moved to
another collection since."""

PASSING: Final = REPLACED | {UNCLEAR, UNEXPECTED}
"""Codes of what can be over at the next attempt."""

PAUSES: Final = (0.0, 0.02, 0.1)
"""Seconds before each further attempt of a search that was refused for what passes by itself."""

RRF_K: Final = 5
"""Constant of the reciprocal rank fusion, which picks the candidates; small, as best of those that were measured."""

QUERY_LIMIT: Final = 16_384
"""Milvus returns no more rows of one query, and does not say so."""

QUESTION: Final = "question"
TEXT: Final = "text"
KEYWORDS: Final = "keywords"
PARTS: Final = {
    SearchMode.HYBRID: (QUESTION, TEXT, KEYWORDS),
    SearchMode.SEMANTIC: (QUESTION, TEXT),
    SearchMode.KEYWORD: (KEYWORDS,),
}
_FIELD_OF: Final = {QUESTION: fields.EMBEDDING, TEXT: fields.TEXT_EMBEDDING, KEYWORDS: fields.SPARSE}

_KEYS: Final = [fields.VERSION, fields.QUESTION_HASH]


class MilvusIndex:
    """The `VectorIndex` in Milvus. Belongs to the event loop that first uses it.

    Milvus joins the parts by rank, which is exact on every server, and its answer carries the vectors of the
    candidates. The cosines are reckoned from these here, and the BM25 scores asked for by id: so each candidate has
    the score of every part, whichever part brought it in.

    Args:
        client: made with `client.make_client`; closed by who made it.
        model, dimension: the embedding space of the vectors given to `search`. A collection of another is refused.
        consistency: Milvus's consistency level for searches.
        timeout: seconds until a call is given up.
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
        self._collection.forget()
        async with self._calls():
            await self._collection.is_there()

    async def search(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        """See `VectorIndex.search`."""
        async with self._calls():
            return await self._tried(partial(self._found, query, min(limit, MAX_MATCHES), condition), [])

    async def ranks(self, query: IndexQuery, limit: int, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        """See `VectorIndex.ranks`."""
        async with self._calls():
            return await self._tried(partial(self._ranked, query, limit, condition), {})

    async def _tried(self, work: Callable[[], Awaitable[T]], nothing: T) -> T:
        """Do this, again where Milvus refuses it for a reason that passes; an empty collection has `nothing`."""
        for pause in PAUSES:
            try:
                return await work()
            except MilvusException as error:
                # It may have been replaced by another one.
                self._collection.forget()
                if error.code == UNCLEAR and await self._collection.is_there() and await self._is_empty():
                    return nothing
                if error.code not in PASSING:
                    raise
            await asyncio.sleep(pause)
        return await work()

    async def _found(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        if not await self._collection.is_there():
            return []
        written = await self._written(condition)
        if query.mode is SearchMode.KEYWORD:
            hits = await self._search(KEYWORDS, query, limit, written, _KEYS)
            return matches_of(hits, [Evidence(keywords=max(0.0, score)) for score in hits.distances])
        hits = await self._fused(query, limit, written)
        keywords: Mapping[int, float] | None = None
        if query.mode is SearchMode.HYBRID and hits:
            among = expression(Among(fields.ID, hits.ids))
            scored = await self._search(KEYWORDS, query, len(hits), among)
            keywords = {key: max(0.0, score) for key, score in zip(scored.ids, scored.distances, strict=True)}
        return matches_of(hits, evidence_of(hits, query.vector or [], keywords))

    async def _ranked(self, query: IndexQuery, limit: int, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        if not await self._collection.is_there():
            return {}
        written = await self._written(condition)
        ranks: dict[str, dict[int, int]] = {}
        for part in PARTS[query.mode]:
            hits = await self._search(part, query, limit, written)
            ranks[part] = {key: rank for rank, key in enumerate(hits.ids, start=1)}
        return ranks

    async def _fused(self, query: IndexQuery, limit: int, written: str) -> HybridHits:
        requests = [
            AnnSearchRequest(_data(part, query), _FIELD_OF[part], {}, limit, expr=written or None)
            for part in PARTS[query.mode]
        ]
        answer = await self._client.hybrid_search(
            fields.COLLECTION, requests, RRFRanker(RRF_K), limit, output_fields=[*_KEYS, *VECTORS], **self._options
        )
        hits: HybridHits = answer[0]
        return hits

    async def _search(
        self, part: str, query: IndexQuery, limit: int, written: str, wanted: Sequence[str] = ()
    ) -> HybridHits:
        answer = await self._client.search(
            fields.COLLECTION,
            data=_data(part, query),
            filter=written,
            limit=limit,
            anns_field=_FIELD_OF[part],
            output_fields=list(wanted),
            **self._options,
        )
        hits: HybridHits = answer[0]
        return hits

    async def _is_empty(self) -> bool:
        rows = await self._client.query(
            fields.COLLECTION, filter=f"{fields.ID} > 0", output_fields=["count(*)"], **self._options
        )
        return int(rows[0]["count(*)"]) == 0

    async def _written(self, condition: Condition) -> str:
        """Return the condition in Milvus's language, what has no form in it replaced by the ids where it holds."""
        ids = {one: await self._ids(one) for one in unwritten(condition)}
        return expression(_replaced(condition, ids))

    async def _ids(self, one: Phrase | Part) -> list[int]:
        """Return the ids of all rows for which it holds."""
        if isinstance(one, Phrase):
            return [row[fields.ID] for row in await self._rows(expression(one), [fields.ID])]
        rows = await self._rows(expression(one.candidates), [fields.ID, one.field])
        return [row[fields.ID] for row in rows if one.holds(row[one.field])]

    async def _rows(
        self, written: str, wanted: Sequence[str], low: int = 0, high: int = 2**63 - 1
    ) -> list[dict[str, Any]]:
        """Return these fields of all rows for which an expression holds, with an id from above `low` to `high`."""
        bounds = expression(Every([Compared(fields.ID, ">", low), Compared(fields.ID, "<=", high)]))
        found = await self._client.query(
            fields.COLLECTION,
            filter=f"{bounds} and ({written})",
            output_fields=list(wanted),
            limit=QUERY_LIMIT,
            **self._options,
        )
        rows = sorted(found, key=itemgetter(fields.ID))
        if len(rows) < QUERY_LIMIT:
            return rows
        # Which of the rows come is not said: half of the range of those seen holds fewer.
        middle = rows[len(rows) // 2][fields.ID]
        return [*await self._rows(written, wanted, low, middle), *await self._rows(written, wanted, middle, high)]

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[None]:
        """Bound the calls in time, and turn whatever goes wrong into the one error."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except VectorIndexError:
            raise
        except Exception as error:  # pymilvus lets errors of gRPC and of its own through as they come
            self._collection.forget()
            log.warning(VECTOR_INDEX_FAILED, error=type(error).__name__, code=str(getattr(error, "code", None)))
            reason = "does not answer in time" if isinstance(error, TimeoutError) else "cannot be used now"
            raise VectorIndexError(f"The vector index (Milvus) {reason}.", retry_after=5) from error


def _data(part: str, query: IndexQuery) -> list[Any]:
    return [query.text] if part == KEYWORDS else [list(query.vector or [])]


def _replaced(condition: Condition, ids: Mapping[Phrase | Part, Sequence[int]]) -> Condition:
    if isinstance(condition, Without):
        return Among(fields.ID, ids[condition.phrase], negated=True)
    if isinstance(condition, Part) and condition in ids:
        return Among(fields.ID, ids[condition])
    if isinstance(condition, Every | Either):
        return type(condition)([_replaced(part, ids) for part in condition.parts])
    return condition
