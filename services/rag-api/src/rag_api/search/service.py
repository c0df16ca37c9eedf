"""Search: embed the query, ask the index, show only what the conversations API confirms."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Final

import structlog
from mh_client import APIConnectionError, APIStatusError, APITimeoutError, AsyncClient, MHError
from mh_common.embeddings import Embedder, EmbedderError
from mh_common.errors import DomainError, UnavailableError
from mh_common.models import Conversation, SearchHit, SearchRequest, SearchResult

from rag_api import metrics
from rag_api.search.repository import MAX_MATCHES, Filters, Match, VectorIndex, VectorIndexError
from rag_api.settings import SearchSettings

log = structlog.get_logger(__name__)

SEARCH_COMPLETED: Final = "search_completed"
STALE_HITS_DROPPED: Final = "stale_hits_dropped"
"""Hits whose conversation is gone or has another version by now; many of them for long: the indexer is behind."""
EMBEDDER_FAILED: Final = "embedder_failed"
CONVERSATIONS_FAILED: Final = "conversations_api_failed"

SLACK: Final = 20
"""Matches asked for beyond the limit: for hits that are dropped, and to settle ties at the limit by id."""

MAX_TEXTS: Final = 200
"""Most conversations in one request for texts: the API's longest page."""

MAX_ROUNDS: Final = 8
"""Most requests for texts in one search; the numbers asked for double, so that a long run of stale hits is passed."""


class QueryRefusedError(DomainError):
    """The embedder takes this text under no circumstances."""


class SearchService:
    """Finds conversations by meaning. Their texts are always those of the conversations API, never the index's."""

    def __init__(
        self, embedder: Embedder, index: VectorIndex, conversations: AsyncClient, settings: SearchSettings
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._conversations = conversations
        self._embed_timeout = settings.embed_timeout

    async def search(self, request: SearchRequest) -> SearchResult:
        """Return the best hits, highest score first, equal scores by id.

        Raises:
            QueryRefusedError: the embedder refuses the query.
            UnavailableError: the embedder, the index or the conversations API is down; the message says which.
        """
        started = time.perf_counter()
        vector = await self._embed(request.query)
        embedded = time.perf_counter()
        hits = await self._hits(vector, request)
        metrics.count_search([hit.score for hit in hits])
        log.info(
            SEARCH_COMPLETED,
            hits=len(hits),
            limit=request.limit,
            embed_ms=round((embedded - started) * 1000, 1),
            find_ms=round((time.perf_counter() - embedded) * 1000, 1),
        )
        return SearchResult(hits=hits, total_hits=len(hits), index_rebuilding=self._index.rebuilding)

    async def _hits(self, vector: Sequence[float], request: SearchRequest) -> list[SearchHit]:
        filters = Filters(**request.model_dump(exclude={"query", "limit", "similarity_threshold"}))
        threshold = request.similarity_threshold or 0.0
        hits: list[SearchHit] = []
        seen: set[int] = set()
        waiting: list[Match] = []
        exhausted = False
        for turn in range(MAX_ROUNDS):
            wanted = min((request.limit - len(hits)) * 2**turn, MAX_TEXTS)
            if len(waiting) < wanted and not exhausted:
                asked = min(len(seen) + wanted + SLACK, MAX_MATCHES)
                matches = await self._matches(vector, asked, filters)
                exhausted = len(matches) < asked or asked == MAX_MATCHES
                waiting = [match for match in matches if match.id not in seen and match.score >= threshold]
            batch, waiting = waiting[:wanted], waiting[wanted:]
            if not batch:
                break
            seen.update(match.id for match in batch)
            hits += await self._confirmed(batch)
            if len(hits) >= request.limit:
                break
        hits.sort(key=lambda hit: (-hit.score, hit.id))
        return hits[: request.limit]

    async def _embed(self, query: str) -> list[float]:
        try:
            with metrics.search_part("embed"):
                async with asyncio.timeout(self._embed_timeout):
                    return (await self._embedder.embed([query]))[0]
        except TimeoutError:
            failure: DomainError = UnavailableError("The embedding model does not answer in time.", retry_after=5)
        except EmbedderError as error:
            if error.transient:
                retry_after = math.ceil(error.retry_after or 5)
                failure = UnavailableError(f"The embedding model cannot be used now: {error}.", retry_after)
            else:
                failure = QueryRefusedError("The embedding model refuses this text.")
        log.warning(EMBEDDER_FAILED, error=type(failure).__name__)
        raise failure

    async def _matches(self, vector: Sequence[float], limit: int, filters: Filters) -> list[Match]:
        try:
            with metrics.search_part("search"):
                return await self._index.search(vector, limit, filters)
        except VectorIndexError as error:
            raise UnavailableError(str(error), error.retry_after) from error

    async def _confirmed(self, matches: Sequence[Match]) -> list[SearchHit]:
        """The matches that still are the present version of their conversation, with its texts."""
        present = {row.id: row for row in await self._rows([match.id for match in matches])}
        hits = [
            _hit(present[match.id], match.score)
            for match in matches
            if match.id in present and present[match.id].version == match.version
        ]
        if len(hits) < len(matches):
            metrics.STALE_HITS.inc(len(matches) - len(hits))
            log.info(STALE_HITS_DROPPED, count=len(matches) - len(hits))
        return hits

    async def _rows(self, ids: Sequence[int]) -> list[Conversation]:
        try:
            with metrics.search_part("fetch"):
                return (await self._conversations.conversations.list(ids=ids, limit=len(ids))).items
        except MHError as error:
            log.warning(CONVERSATIONS_FAILED, error=type(error).__name__)
            raise _unavailable(error) from error


def _unavailable(error: MHError) -> UnavailableError:
    if isinstance(error, APIStatusError):
        message = f"The conversations API, which holds the texts, answers {error.status_code}."
        return UnavailableError(message, math.ceil(error.retry_after or 5))
    if isinstance(error, APITimeoutError):
        reason = "does not answer in time"
    else:
        reason = "cannot be reached" if isinstance(error, APIConnectionError) else "gave an unreadable answer"
    return UnavailableError(f"The conversations API, which holds the texts, {reason}.", retry_after=5)


def _hit(row: Conversation, score: float) -> SearchHit:
    return SearchHit(
        id=row.id,
        version=row.version,
        question=row.question,
        answer=row.answer,
        question_sentiment=row.question_sentiment,
        answer_sentiment=row.answer_sentiment,
        score=score,
    )
