"""Search: parse the query, view it in several ways, retrieve matches, rank, hydrate and highlight them, in this order.

Only stale matches cause another iteration, to find replacements.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from rag_api.safety.screening import ScreeningService, screened_beside
from rag_api.search.approval import MAX_COUNTED, ApprovalRule, HeldBack
from rag_api.search.filters import MATCH_ALL, And, Condition, In, condition_from_request
from rag_api.search.highlights import highlights, query_stems
from rag_api.search.hydration import HydratedHit, Hydrator
from rag_api.search.index import IndexQuery, VectorIndex
from rag_api.search.query_parser import ParsedQuery, parse_query
from rag_api.search.ranking import Ranker, Ranking
from rag_api.search.retrieval import Retriever
from rag_api.search.selection import Selection
from rag_api.search.views import query_views
from rag_api.settings import SearchSettings

log = structlog.get_logger(__name__)

SEARCH_COMPLETED: Final = "search_completed"
SCORES_UNCALIBRATED: Final = "search_scores_uncalibrated"
"""Logged at start: without calibration for the embedding model, no answer can say that nothing relevant was found."""

MAX_ITERATIONS: Final = 8
"""Maximum requests to the conversations API in one search."""

MAX_QUERY_LENGTH: Final = 8000
"""Characters of a question that are used to find similar ones; the maximum length of a query."""

Ranks = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class SearchParameters:
    """The parameters of a search, whichever route it comes from.

    `allows` tells of a conversation, as it is stored now, whether it may be a hit; None: each may.
    """

    text: str
    condition: Condition
    mode: SearchMode
    limit: int
    min_score: float
    relevant_only: bool
    grouped: bool
    explain: bool
    allows: Callable[[Conversation], bool] | None = None


class SearchService:
    """Finds conversations. Texts always come from the conversations API, never from the index."""

    def __init__(
        self,
        embedder: Embedder,
        index: VectorIndex,
        conversations: AsyncClient,
        screening: ScreeningService,
        settings: SearchSettings,
    ) -> None:
        self._screening = screening
        self._retriever = Retriever(embedder, index, settings.embed_timeout)
        self._ranker = Ranker(embedder.model, settings)
        self._hydrator = Hydrator(conversations)
        if self._ranker.calibration(SearchMode.HYBRID) is None:
            log.warning(SCORES_UNCALIBRATED, model=embedder.model)

    async def search(
        self,
        request: SearchRequest,
        extra_condition: Condition = MATCH_ALL,
        rule: ApprovalRule | None = None,
    ) -> SearchResult:
        """Return the best hits, highest score first, equal scores by id; all of them satisfy `extra_condition`.

        With a `rule`, only what may be a source is a hit. The query is screened for risk meanwhile.

        Raises:
            QuerySyntaxError: the query has a syntax error.
            QueryRejectedError: the embedding model rejects the query.
            UnavailableError: the embedder, the index or the conversations API is down; the message says which. Errors
                but of syntax have the notice of risk, if there is one, as members.
        """
        parameters = _parameters(request, extra_condition, rule)
        screening = self._screening.screen_question(request.query)
        noticed, found = await screened_beside(screening, self._run(parameters))
        return found.model_copy(update=dict(noticed))

    async def search_unscreened(
        self,
        request: SearchRequest,
        extra_condition: Condition = MATCH_ALL,
        rule: ApprovalRule | None = None,
        *,
        relevant_only: bool = False,
    ) -> SearchResult:
        """Return the best hits like `search`, for a caller who screens the question. Raises what `search` raises.

        With `relevant_only`, those below the relevance threshold are left out, if there is one.
        """
        return await self._run(_parameters(request, extra_condition, rule, relevant_only=relevant_only))

    async def held_back(
        self,
        request: SearchRequest,
        rule: ApprovalRule,
        extra_condition: Condition = MATCH_ALL,
    ) -> HeldBack:
        """Return how many relevant conversations the rule keeps from being hits. Raises what `search` raises.

        For a search that found nothing.
        """
        parameters = _parameters(request, extra_condition, relevant_only=True)
        parameters = replace(
            parameters, limit=MAX_COUNTED, grouped=False, explain=False, allows=lambda row: not rule.allows(row)
        )
        return HeldBack.of((await self._run(parameters)).hits)

    async def find(self, conversation_id: int) -> Conversation | None:
        """Return the current version of a conversation; None if it does not exist.

        Raises:
            UnavailableError: the conversations API is down.
        """
        rows = await self._hydrator.fetch([conversation_id])
        return rows[0] if rows else None

    async def similar(self, conversation_id: int, limit: int, threshold: float = 0.0) -> SearchResult:
        """Return other questions similar to that of a conversation, one hit each.

        Raises:
            NotFoundError: there is no such conversation.
            QueryRejectedError, UnavailableError: as in `search`.
        """
        row = await self.find(conversation_id)
        if row is None:
            raise NotFoundError(f"There is no conversation {conversation_id}.")
        question = row.question
        same = In(fields.QUESTION_HASH, [fields.question_hash(question)], negated=True)
        text = question[:MAX_QUERY_LENGTH]
        return await self._run(
            SearchParameters(
                text, same, SearchMode.HYBRID, limit, threshold, relevant_only=False, grouped=True, explain=False
            )
        )

    async def other_answers(
        self, query: str, hits: Sequence[SearchHit], limit: int, rule: ApprovalRule
    ) -> list[SearchHit]:
        """Return further answers to the questions of these hits that may be sources, those closest to the query first.

        Raises:
            QueryRejectedError, UnavailableError: as in `search`.
        """
        questions = [fields.question_hash(hit.question) for hit in hits]
        others = In(fields.ID, [hit.id for hit in hits], negated=True)
        found = await self._run(
            SearchParameters(
                query,
                And([In(fields.QUESTION_HASH, questions), others, rule.condition]),
                SearchMode.HYBRID,
                limit,
                0.0,
                relevant_only=False,
                grouped=False,
                explain=False,
                allows=rule.allows,
            )
        )
        return found.hits

    async def _run(self, parameters: SearchParameters) -> SearchResult:
        started = time.perf_counter()
        views = query_views(parameters.text)
        query = await self._retriever.query(views, parameters.mode)
        embedded = time.perf_counter()
        threshold = self._ranker.threshold(parameters.mode)
        min_relevance = threshold or 0.0 if parameters.relevant_only else 0.0
        ranking = self._ranker.ranking(views, query.mode, min_score=parameters.min_score, min_relevance=min_relevance)
        found = await self._collect_hits(ranking, query, parameters)
        metrics.count_search([one.candidate.score for one in found])
        ranks = await self._retriever.ranks(query, parameters.condition) if parameters.explain else None
        log.info(
            SEARCH_COMPLETED,
            mode=parameters.mode.value,
            hits=len(found),
            limit=parameters.limit,
            embed_ms=round((embedded - started) * 1000, 1),
            find_ms=round((time.perf_counter() - embedded) * 1000, 1),
        )
        stems = query_stems(parameters.text)
        searched = [] if parameters.mode is SearchMode.KEYWORD else [views.as_client]
        searched += [] if parameters.mode is SearchMode.SEMANTIC else [views.keywords]
        hits = [_hit(one, stems, None if ranks is None else _explanation(one, ranks, searched)) for one in found]
        return SearchResult(
            hits=hits,
            total_hits=len(hits),
            relevance_threshold=threshold,
            scores_calibrated=self._ranker.calibration(parameters.mode) is not None,
            index_rebuilding=self._retriever.index_rebuilding,
        )

    async def _collect_hits(
        self, ranking: Ranking, query: IndexQuery, parameters: SearchParameters
    ) -> list[HydratedHit]:
        """Return the best hits for the parameters, best first.

        A conversation that was changed or deleted since it was indexed, or is not allowed, is replaced by the next best
        one, which may have the same question.
        """
        selection = Selection(parameters.limit, grouped=parameters.grouped)
        exhausted = False
        for iteration in range(MAX_ITERATIONS):
            if not selection.has_candidates and not exhausted:
                condition = And([parameters.condition, *selection.exclusions])
                matches = await self._retriever.matches(query, selection.match_limit, condition)
                selection.set_candidates(ranking.rank(matches))
                exhausted = len(matches) < selection.match_limit
            batch = selection.next_batch(iteration)
            if not batch:
                break
            found = await self._hydrator.hydrate(batch)
            allows = parameters.allows
            selection.add(batch, found if allows is None else [one for one in found if allows(one.row)])
            if selection.is_complete:
                break
        return selection.best()


def _parameters(
    request: SearchRequest,
    extra_condition: Condition,
    rule: ApprovalRule | None = None,
    *,
    relevant_only: bool = False,
) -> SearchParameters:
    conditions = [] if rule is None else [rule.condition]
    parsed = ParsedQuery(request.query, MATCH_ALL) if request.plain_query else parse_query(request.query)
    return SearchParameters(
        text=parsed.text,
        condition=And([parsed.condition, condition_from_request(request), extra_condition, *conditions]),
        mode=request.mode,
        limit=request.limit,
        min_score=request.similarity_threshold or 0.0,
        relevant_only=relevant_only,
        grouped=request.group_by is GroupBy.QUESTION,
        explain=request.explain,
        allows=None if rule is None else rule.allows,
    )


def _hit(found: HydratedHit, stems: frozenset[str], explanation: Explanation | None) -> SearchHit:
    row = found.row
    return SearchHit(
        **{name: value for name, value in row if name in SearchHit.model_fields},
        score=found.candidate.score,
        relevance=found.candidate.relevance,
        highlights=highlights(stems, row.question, row.answer),
        explanation=explanation,
    )


def _explanation(found: HydratedHit, ranks: Ranks, searched: list[str]) -> Explanation:
    candidate = found.candidate
    found_scores, words = candidate.match.scores, candidate.words
    scores = {
        "question": found_scores.question,
        "text": found_scores.text,
        "keywords": found_scores.keywords,
        "words": words and words.words,
        "pairs": words and words.pairs,
        "crowding": found_scores.crowding,
    }
    parts = [
        PartScore(part=part, rank=ranks.get(part, {}).get(found.row.id), score=score)
        for part, score in scores.items()
        if score is not None
    ]
    fusion = PartScore(part="fusion", rank=candidate.fusion_rank, score=candidate.match.fusion_score)
    return Explanation(
        searched=searched,
        parts=[*parts, fusion] if len(parts) > 1 else parts,
        evidence=candidate.evidence,
    )
