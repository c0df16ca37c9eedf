"""What an answer rests on: the conversations found for a question, and what is worth reading in them."""

import asyncio
import time
from typing import Final

from mh_common.embeddings import EmbedderError
from mh_common.models import AnswerRequest, QueryOrigin, Risk, SearchHit, SearchRequest

from rag_api.answers.errors import AnswerTimeoutError, AnswerUnavailableError
from rag_api.answers.pending import Found, source_of
from rag_api.answers.query_rewriting import QueryRewriter, StandaloneQuery
from rag_api.passages.finder import PassageFinder, Passages
from rag_api.search.approval import NOTHING_HELD_BACK, ApprovalRule
from rag_api.search.service import SearchService
from rag_api.settings import AnswersSettings

BEST_QUESTIONS: Final = 3
"""Hits whose further answers are looked through for passages."""
OTHER_ANSWERS: Final = 10
"""Further answers that are looked through."""


class SourceFinder:
    """Finds the sources of answers.

    Args:
        search: finds the conversations.
        passages: finds what is worth reading in them.
        rule: which conversations may be sources.
        settings: the time limit for rewriting a question.
    """

    def __init__(
        self, search: SearchService, passages: PassageFinder, rule: ApprovalRule, settings: AnswersSettings
    ) -> None:
        self._search = search
        self._passages = passages
        self._rule = rule
        self._settings = settings

    async def find(self, request: AnswerRequest, deadline: float, query_rewriter: QueryRewriter) -> Found:
        """Return the conversations that are relevant to a question, which is first made a standalone one.

        If there are none that may be sources, also how many there are that may not.

        Raises:
            QueryRejectedError, UnavailableError: the search failed.
        """
        query = await self._standalone_query(request, deadline, query_rewriter)
        rewritten = time.perf_counter()
        # Quotation marks and colons in a patient's words are not query syntax.
        search = SearchRequest(query=query.text, plain_query=True, limit=request.top_k)
        result = await self._search.search_unscreened(search, rule=self._rule, relevant_only=True)
        held_back = NOTHING_HELD_BACK if result.hits else await self._search.held_back(search, self._rule)
        return Found(query, rewritten, search, result, held_back)

    async def passages(
        self, found: Found, risk: Risk, deadline: float, *, excerpts: bool
    ) -> tuple[list[SearchHit], Passages]:
        """Return the sources and their passages, with excerpts only if they are asked for.

        Passages are looked for in all answers to the best questions; answers that are no hits are sources if quoted.

        Raises:
            QueryRejectedError, UnavailableError: the search for further answers failed.
            AnswerError: a subclass of it; the embedding model, which chooses the passages, fails or takes too long.
        """
        query, hits = found.query.text, found.result.hits
        if not hits:
            return [], Passages()
        try:
            async with asyncio.timeout_at(deadline):
                others = await self._search.other_answers(query, hits[:BEST_QUESTIONS], OTHER_ANSWERS, self._rule)
                candidates = [*hits, *others]
                sources = [source_of(hit) for hit in candidates]
                passages = await self._passages.find(query, sources, risk, excerpts=excerpts)
        except TimeoutError as error:
            message = "The embedding model, which chooses the passages, did not answer in time."
            raise AnswerTimeoutError(message, [source_of(hit) for hit in hits]) from error
        except EmbedderError as error:
            message = "The embedding model, which chooses the passages, is unavailable."
            raise AnswerUnavailableError(message, [source_of(hit) for hit in hits]) from error
        quoted = {one.source for one in passages.quotes}
        kept = [number for number in range(1, len(candidates) + 1) if number <= len(hits) or number in quoted]
        return [candidates[number - 1] for number in kept], passages.renumbered(kept)

    async def _standalone_query(
        self, request: AnswerRequest, deadline: float, query_rewriter: QueryRewriter
    ) -> StandaloneQuery:
        if not request.conversation_history:
            return StandaloneQuery(request.question, QueryOrigin.QUESTION)
        limit = asyncio.get_running_loop().time() + self._settings.condense_time_limit
        return await query_rewriter.rewrite(request.question, request.conversation_history, min(deadline, limit))
