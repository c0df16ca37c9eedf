"""Search: parse the query, retrieve matches, rank them, hydrate them, mark the words; each of these once and in order.

Only stale matches send a search around again, for others in their place.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from mh_client import AsyncClient
from mh_common import vector_index as fields
from mh_common.embeddings import Embedder
from mh_common.errors import NotFoundError
from mh_common.models import (
    Conversation,
    Explanation,
    GroupBy,
    PartScore,
    SearchHit,
    SearchMode,
    SearchRequest,
    SearchResult,
)

from rag_api import metrics
from rag_api.search.filters import Among, Condition, Every, requested
from rag_api.search.highlights import highlights, query_stems
from rag_api.search.hydration import Found, Hydrator
from rag_api.search.index import IndexQuery, VectorIndex
from rag_api.search.query_parser import TypedQuery, parse
from rag_api.search.ranking import Ranker
from rag_api.search.retrieval import Retriever
from rag_api.search.selection import Selection
from rag_api.settings import SearchSettings

log = structlog.get_logger(__name__)

SEARCH_COMPLETED: Final = "search_completed"
SCORES_UNCALIBRATED: Final = "search_scores_uncalibrated"
"""Nobody measured this embedding model's scores: no answer says that nothing relevant was found. Once at the start."""

MAX_TURNS: Final = 8
"""Most requests for texts in one search."""

MAX_QUERY_LENGTH: Final = 8000
"""Characters of a conversation's question that similar ones are looked for by; as many as a query may have."""

Ranks = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class Wanted:
    """What is looked for, whoever asks."""

    text: str
    condition: Condition
    mode: SearchMode
    limit: int
    threshold: float
    grouped: bool
    explain: bool


class SearchService:
    """Finds conversations. Their texts are always those of the conversations API, never the index's."""

    def __init__(
        self, embedder: Embedder, index: VectorIndex, conversations: AsyncClient, settings: SearchSettings
    ) -> None:
        self._retriever = Retriever(embedder, index, settings.embed_timeout)
        self._ranker = Ranker(embedder.model, settings)
        self._hydrator = Hydrator(conversations)
        if not self._ranker.calibrated(SearchMode.HYBRID):
            log.warning(SCORES_UNCALIBRATED, model=embedder.model)

    @property
    def relevance_threshold(self) -> float | None:
        """Score of the hybrid mode below which a best hit is none; None where nobody measured it."""
        return self._ranker.threshold(SearchMode.HYBRID)

    async def search(self, request: SearchRequest, also: Condition = Every()) -> SearchResult:  # noqa: B008 - frozen
        """Return the best hits that are `also` as said, highest score first, equal scores by id.

        Raises:
            QuerySyntaxError: the typed query cannot be understood.
            QueryRefusedError: the embedder refuses the query.
            UnavailableError: the embedder, the index or the conversations API is down; the message says which.
        """
        typed = TypedQuery(request.query, Every()) if request.plain_query else parse(request.query)
        return await self._searched(
            Wanted(
                text=typed.text,
                condition=Every([typed.condition, requested(request), also]),
                mode=request.mode,
                limit=request.limit,
                threshold=request.similarity_threshold or 0.0,
                grouped=request.group_by is GroupBy.QUESTION,
                explain=request.explain,
            )
        )

    async def find(self, key: int) -> Conversation | None:
        """Return a conversation as it is now; None when there is no such one.

        Raises:
            UnavailableError: the conversations API is down.
        """
        rows = await self._hydrator.rows([key])
        return rows[0] if rows else None

    async def similar(self, key: int, limit: int, threshold: float = 0.0) -> SearchResult:
        """Return other questions like that of a conversation, one hit each. Raises as `search`, and besides:

        Raises:
            NotFoundError: there is no such conversation.
        """
        row = await self.find(key)
        if row is None:
            raise NotFoundError(f"There is no conversation {key}.")
        question = row.question
        same = Among(fields.QUESTION_HASH, [fields.question_hash(question)], negated=True)
        text = question[:MAX_QUERY_LENGTH]
        return await self._searched(
            Wanted(text, same, SearchMode.HYBRID, limit, threshold, grouped=True, explain=False)
        )

    async def _searched(self, wanted: Wanted) -> SearchResult:
        started = time.perf_counter()
        query = await self._retriever.query(wanted.text, wanted.mode)
        embedded = time.perf_counter()
        found = await self._found(query, wanted)
        metrics.count_search([one.candidate.score for one in found])
        ranks = await self._retriever.ranks(query, wanted.condition) if wanted.explain else None
        log.info(
            SEARCH_COMPLETED,
            mode=wanted.mode.value,
            hits=len(found),
            limit=wanted.limit,
            embed_ms=round((embedded - started) * 1000, 1),
            find_ms=round((time.perf_counter() - embedded) * 1000, 1),
        )
        stems = query_stems(wanted.text)
        hits = [_hit(one, stems, ranks) for one in found]
        return SearchResult(
            hits=hits,
            total_hits=len(hits),
            relevance_threshold=self._ranker.threshold(wanted.mode),
            scores_calibrated=self._ranker.calibrated(wanted.mode),
            index_rebuilding=self._retriever.index_rebuilding,
        )

    async def _found(self, query: IndexQuery, wanted: Wanted) -> list[Found]:
        """Return the best conversations that are as wanted, the best first.

        A conversation that was changed or deleted since it was indexed is left out, and the next one takes its place,
        also among those with the same question.
        """
        selection = Selection(wanted.limit, grouped=wanted.grouped)
        retrieved, exhausted = 0, False
        for turn in range(MAX_TURNS):
            if not selection.is_waiting and not exhausted:
                condition = Every([wanted.condition, *selection.not_yet_seen])
                matches = await self._retriever.matches(query, selection.wanted_matches, condition)
                selection.offer(
                    self._ranker.rank(matches, query.mode, threshold=wanted.threshold, ranked_before=retrieved)
                )
                retrieved, exhausted = retrieved + len(matches), len(matches) < selection.wanted_matches
            batch = selection.take(turn)
            if not batch:
                break
            selection.add(batch, await self._hydrator.confirm(batch))
            if selection.is_complete:
                break
        return selection.best()


def _hit(found: Found, stems: frozenset[str], ranks: Ranks | None) -> SearchHit:
    row = found.row
    return SearchHit(
        **{name: value for name, value in row if name in SearchHit.model_fields},
        score=found.candidate.score,
        highlights=highlights(stems, row.question, row.answer),
        explanation=None if ranks is None else _explanation(found, ranks),
    )


def _explanation(found: Found, ranks: Ranks) -> Explanation:
    candidate = found.candidate
    evidence = candidate.match.evidence
    scores = {"question": evidence.question, "text": evidence.text, "keywords": evidence.keywords}
    parts = [
        PartScore(part=part, rank=ranks.get(part, {}).get(found.row.id), score=score)
        for part, score in scores.items()
        if score is not None
    ]
    fusion = PartScore(part="fusion", rank=candidate.fusion_rank, score=candidate.match.fusion)
    return Explanation(parts=[*parts, fusion] if len(parts) > 1 else parts, evidence=candidate.evidence)
