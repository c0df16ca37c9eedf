"""Answers: search, then let a generator write from the conversations found."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import structlog
from mh_common.errors import DomainError
from mh_common.models import (
    Answer,
    AnswerDone,
    AnswerEvent,
    AnswerLatency,
    AnswerRequest,
    AnswerSources,
    AnswerToken,
    AnswerUsage,
    QueryOrigin,
    SearchHit,
    SearchRequest,
    SearchResult,
    Source,
)

from rag_api import metrics
from rag_api.answers.condensing import Condenser, Query
from rag_api.answers.extractive import MODEL as EXTRACTIVE
from rag_api.answers.generators import NO_MODEL, NO_WISHES, Draft, FixedDraft, Generator, Question, Wishes, Written
from rag_api.answers.language_models import Writers
from rag_api.answers.llm import FailureKind, LanguageModelError
from rag_api.answers.records import AnswerRecord, RecordedHit, RecordQueue
from rag_api.search.service import SearchService
from rag_api.settings import AnswersSettings

log = structlog.get_logger(__name__)

ANSWER_COMPLETED: Final = "answer_completed"
ANSWER_FAILED: Final = "answer_failed"

NOTHING_FOUND: Final = (
    "Nothing relevant was found: no indexed conversation is near this question, so there is nothing to ground an "
    "answer in. If the patient may be at risk, follow your crisis protocol."
)


class AnswerError(DomainError):
    """No answer could be written. The member `sources` holds the conversations found, which are of use without it."""

    def __init__(self, message: str, sources: Sequence[Source]) -> None:
        self.reason = message
        super().__init__(f"{message} The sources are the conversations that were found.")
        self.members = {"sources": [source.model_dump(mode="json") for source in sources]}


class GeneratorUnavailableError(AnswerError):
    """What writes the answer cannot be used now."""


class GeneratorTimeoutError(AnswerError):
    """What writes the answer took too long."""


class GeneratorRefusedError(AnswerError):
    """The language model does not want to answer this question."""


_ERROR_OF: Final[dict[FailureKind, type[AnswerError]]] = {
    FailureKind.UNAVAILABLE: GeneratorUnavailableError,
    FailureKind.TIMEOUT: GeneratorTimeoutError,
    FailureKind.REFUSED: GeneratorRefusedError,
}


@dataclass(frozen=True)
class Begun:
    """An answer whose sources are found and whose text is still to be written."""

    answer_id: UUID
    user: str | None
    question: str
    query: Query
    search: SearchRequest
    result: SearchResult
    draft: Draft
    deadline: float
    started: float
    condense_ms: float
    search_ms: float

    @property
    def sources(self) -> AnswerSources:
        """What is known of the answer before it is written."""
        return AnswerSources(
            answer_id=self.answer_id,
            sources=[_source(hit) for hit in self.result.hits],
            standalone_query=self.query.text,
            query_origin=self.query.origin,
            index_rebuilding=self.result.index_rebuilding,
        )


class AnswerService:
    """Suggests how to help a patient, grounded in the nearest conversations.

    Args:
        search: finds the conversations.
        writers: who writes, unless a request brings its own.
        settings: time limits and threshold.
        records: takes what was answered; None: nothing is recorded.
    """

    def __init__(
        self,
        search: SearchService,
        writers: Writers,
        settings: AnswersSettings,
        records: RecordQueue | None = None,
    ) -> None:
        self._search = search
        self._writers = writers
        self._settings = settings
        self._records = records

    async def answer(self, request: AnswerRequest, user: str | None = None) -> Answer:
        """Return the suggestion and its sources.

        Raises:
            QueryRefusedError, UnavailableError: as the search does; nothing was found then.
            QuestionTooLongError: the question leaves no room for sources in the language model's window.
            AnswerError: one of its kinds, with the sources.
        """
        begun = await self.begin(request, user)
        text, parts = "", begun.sources.model_dump()
        async with aclosing(self._write(begun, streamed=False)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    text += event.text
                else:
                    parts |= event.model_dump()
        return Answer(answer=text, **parts)

    async def begin(
        self,
        request: AnswerRequest,
        user: str | None = None,
        wishes: Wishes = NO_WISHES,
        writers: Writers | None = None,
    ) -> Begun:
        """Find the sources and prepare the answer. Raises what `answer` raises but for AnswerError.

        `writers` write this answer only.
        """
        writers = writers or self._writers
        started = time.perf_counter()
        deadline = asyncio.get_running_loop().time() + self._settings.time_limit
        query = await self._query(request, deadline, writers.condenser)
        condensed = time.perf_counter()
        search = self._search_request(query.text, request.top_k)
        result = await self._search.search(search)
        question = Question(request.question, query.text if query.text != request.question else None)
        return Begun(
            answer_id=uuid4(),
            user=user,
            question=request.question,
            query=query,
            search=search,
            result=result,
            draft=await _draft(writers.generator, question, result.hits, wishes),
            deadline=deadline,
            started=started,
            condense_ms=_ms(condensed - started),
            search_ms=_ms(time.perf_counter() - condensed),
        )

    async def stream(self, begun: Begun) -> AsyncGenerator[AnswerEvent]:
        """Yield the sources, the text in pieces as it is written, what it cost and how it was written.

        Who stops iterating closes the iterator, which ends the call of the language model.

        Raises:
            AnswerError: one of its kinds; what was yielded before is not the whole answer.
        """
        yield begun.sources
        try:
            async with aclosing(self._write(begun, streamed=True)) as events:
                async for event in events:
                    yield event
        except AnswerError as error:
            # The sources were given first.
            error.members, error.args = {}, (error.reason,)
            raise

    def _search_request(self, query: str, limit: int) -> SearchRequest:
        return SearchRequest(
            query=query,
            # A patient's words may hold quotes and colons that mean nothing here.
            plain_query=True,
            limit=limit,
            similarity_threshold=self._search.relevance_threshold,
        )

    async def _query(self, request: AnswerRequest, deadline: float, condenser: Condenser) -> Query:
        if not request.conversation_history:
            return Query(request.question, QueryOrigin.QUESTION)
        limit = asyncio.get_running_loop().time() + self._settings.condense_time_limit
        return await condenser.condense(request.question, request.conversation_history, min(deadline, limit))

    async def _write(self, begun: Begun, *, streamed: bool) -> AsyncGenerator[AnswerToken | AnswerUsage | AnswerDone]:
        started = time.perf_counter()
        text = ""
        try:
            async with aclosing(begun.draft.write(begun.deadline, streamed=streamed)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        text += piece
                        yield AnswerToken(text=piece)
                    else:
                        for event in self._complete(begun, text, piece, _ms(time.perf_counter() - started)):
                            yield event
        except LanguageModelError as error:
            sources = begun.sources.sources
            generate_ms = _ms(time.perf_counter() - started)
            metrics.ANSWERS.labels("failed").inc()
            log.warning(ANSWER_FAILED, kind=error.kind, sources=len(sources), generate_ms=generate_ms)
            raise _ERROR_OF[error.kind](str(error), sources) from error

    def _complete(
        self, begun: Begun, text: str, written: Written, generate_ms: float
    ) -> tuple[AnswerUsage, AnswerDone]:
        total_ms = _ms(time.perf_counter() - begun.started)
        cost = AnswerUsage(
            usage=begun.query.usage + written.usage,
            latency_ms=AnswerLatency(
                condense=begun.condense_ms, search=begun.search_ms, generate=generate_ms, total=total_ms
            ),
        )
        done = AnswerDone(
            model=written.model,
            grounded=written.grounding.grounded,
            uncited_sentences=list(written.grounding.uncited_sentences),
            prompt_version=written.prompt.version if written.prompt else None,
            template_hash=written.prompt.template_hash if written.prompt else None,
            cut_short=written.cut_short,
        )
        metrics.ANSWERS.labels(done.model if done.model in (NO_MODEL, EXTRACTIVE) else "llm").inc()
        log.info(
            ANSWER_COMPLETED,
            answer_id=str(begun.answer_id),
            model=done.model,
            sources=len(begun.result.hits),
            query_origin=begun.query.origin,
            grounded=done.grounded,
            generate_ms=generate_ms,
            total_tokens=cost.usage.total_tokens,
        )
        if self._records is not None:
            self._records.add(_record(begun, text, cost, done))
        return cost, done


async def _draft(generator: Generator, question: Question, hits: Sequence[SearchHit], wishes: Wishes) -> Draft:
    if not hits:
        return FixedDraft(NOTHING_FOUND)
    return await generator.draft(question, [_source(hit) for hit in hits], wishes)


def _record(begun: Begun, text: str, cost: AnswerUsage, done: AnswerDone) -> AnswerRecord:
    return AnswerRecord(
        answer_id=begun.answer_id,
        user=begun.user,
        question=begun.question,
        standalone_query=begun.query.text,
        filters=begun.search.model_dump(mode="json", exclude={"query", "limit", "plain_query"}, exclude_defaults=True),
        hits=tuple(RecordedHit(hit.id, hit.version, hit.score) for hit in begun.result.hits),
        answer=text,
        model=done.model,
        prompt_version=done.prompt_version,
        usage=cost.usage,
        latency_ms=cost.latency_ms,
        created_at=datetime.now(UTC),
    )


def _source(hit: SearchHit) -> Source:
    return Source(id=hit.id, question=hit.question, answer=hit.answer, score=hit.score)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
