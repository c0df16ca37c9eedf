"""Answers: search, then generate an answer from the conversations found."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import structlog
from mh_common.embeddings import EmbedderError
from mh_common.embeddings.sent import recorded_requests
from mh_common.languages import language_of
from mh_common.models import (
    Answer,
    AnswerDone,
    AnswerEvent,
    AnswerLatency,
    AnswerRequest,
    AnswerToken,
    AnswerUsage,
    QueryOrigin,
    Risk,
    SearchHit,
    SearchRequest,
    SentenceSupport,
)

from rag_api import metrics
from rag_api.answers.errors import ERRORS, AnswerError, AnswerTimeoutError, AnswerUnavailableError
from rag_api.answers.generators import (
    DEFAULT_OPTIONS,
    NO_MODEL,
    FixedGeneration,
    Generation,
    GenerationOptions,
    GenerationResult,
    Generator,
    Question,
)
from rag_api.answers.language_models import AnswerBackends
from rag_api.answers.llm import LanguageModelError
from rag_api.answers.pending import Found, PendingAnswer, Review, source_of
from rag_api.answers.query_rewriting import QueryRewriter, StandaloneQuery
from rag_api.answers.quoting import EXTRACTIVE_MODEL
from rag_api.answers.records import AnswerRecord, RecordedHit, RecordQueue
from rag_api.answers.support import SupportCheck
from rag_api.passages.finder import PassageFinder, Passages
from rag_api.safety.notice import risk_remark
from rag_api.safety.screening import ScreeningService, notice_in_errors, screened_beside
from rag_api.search.service import SearchService
from rag_api.settings import AnswersSettings

log = structlog.get_logger(__name__)

ANSWER_COMPLETED: Final = "answer_completed"
ANSWER_FAILED: Final = "answer_failed"

BEST_QUESTIONS: Final = 3
"""Hits whose further answers are looked through for passages."""
OTHER_ANSWERS: Final = 10
"""Further answers that are looked through."""

NOTHING_FOUND: Final = (
    "Nothing relevant was found: no indexed conversation is similar to this question, so there is nothing to base an "
    "answer on. If the patient may be at risk, follow your crisis protocol."
)


class AnswerService:
    """Suggests how to help a patient, grounded in the most similar conversations.

    Args:
        search: finds the conversations.
        passages: finds what is worth reading in them.
        make_backends: makes the backends of a request that brings none of its own.
        screening: screens questions and answers for risk.
        support: holds the sentences of a language model against what they cite.
        settings: time limits.
        records: receives complete answers; None: nothing is recorded.
    """

    def __init__(
        self,
        search: SearchService,
        passages: PassageFinder,
        make_backends: Callable[[], AnswerBackends],
        screening: ScreeningService,
        support: SupportCheck,
        settings: AnswersSettings,
        records: RecordQueue | None = None,
    ) -> None:
        self._search = search
        self._passages = passages
        self._make_backends = make_backends
        self._screening = screening
        self._support = support
        self._settings = settings
        self._records = records

    async def answer(self, request: AnswerRequest, user: str | None = None) -> Answer:
        """Return the suggestion and its sources.

        Raises:
            QueryRejectedError, UnavailableError: the search failed, so there are no sources.
            QuestionTooLongError: the question leaves no room for sources in the language model's context window.
            AnswerError: a subclass of it, with the sources.
        """
        pending = await self.prepare(request, user)
        text, parts = "", dict(pending.risk) | pending.sources.model_dump()
        async with aclosing(self._generate(pending, streamed=False)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    text += event.text
                else:
                    parts |= event.model_dump()
        return Answer(answer=text, **parts)

    async def prepare(
        self,
        request: AnswerRequest,
        user: str | None = None,
        options: GenerationOptions = DEFAULT_OPTIONS,
        backends: AnswerBackends | None = None,
    ) -> PendingAnswer:
        """Find the sources and prepare the answer. Raises what `answer` raises, except AnswerError.

        `backends` are used for this answer only.
        """
        backends = backends or self._make_backends()
        started = time.perf_counter()
        deadline = asyncio.get_running_loop().time() + self._settings.time_limit
        screening = self._screening.screen_question(request.question, request.conversation_history)
        with recorded_requests() as embedded:
            try:
                risk, found = await screened_beside(screening, self._find(request, deadline, backends.query_rewriter))
                with notice_in_errors(risk):
                    hits, passages = await self._find_passages(found, risk.risk, deadline)
            finally:
                backends.sent.add_embedded(embedded)
        standalone = found.query.text if found.query.text != request.question else None
        question = Question(request.question, standalone, risk.risk)
        with notice_in_errors(risk):
            generation = await _prepare_generation(backends.generator, question, hits, passages, options)
        return PendingAnswer(
            answer_id=uuid4(),
            user=user,
            question=request.question,
            risk=risk,
            disclaimer=self._screening.disclaimer(risk.risk),
            found=found,
            hits=hits,
            generation=generation,
            deadline=deadline,
            started=started,
            rewrite_ms=_ms(found.rewritten - started),
            search_ms=_ms(time.perf_counter() - found.rewritten),
            sent=backends.sent,
            show_sent=request.show_sent,
        )

    async def stream(self, pending: PendingAnswer) -> AsyncGenerator[AnswerEvent]:
        """Yield the risk, the sources, the text in chunks as it is generated, its usage, and how it was generated.

        A caller that stops early must close the iterator, which cancels the call of the language model.

        Raises:
            AnswerError: a subclass of it; the text yielded so far is incomplete.
        """
        yield pending.risk
        yield pending.sources
        try:
            async with aclosing(self._generate(pending, streamed=True)) as events:
                async for event in events:
                    yield event
        except AnswerError as error:
            # The risk and the sources were sent already.
            error.members, error.args = {}, (error.reason,)
            raise

    async def _find(self, request: AnswerRequest, deadline: float, query_rewriter: QueryRewriter) -> Found:
        query = await self._standalone_query(request, deadline, query_rewriter)
        rewritten = time.perf_counter()
        search = self._search_request(query.text, request.top_k)
        return Found(query, rewritten, search, await self._search.search_unscreened(search, relevant_only=True))

    async def _find_passages(self, found: Found, risk: Risk, deadline: float) -> tuple[list[SearchHit], Passages]:
        """Return the sources and their passages.

        Passages are looked for in all answers to the best questions; answers that are no hits are sources if quoted.

        Raises:
            AnswerError: a subclass of it; the embedding model, which chooses the passages, fails or takes too long.
        """
        query, hits = found.query.text, found.result.hits
        if not hits:
            return [], Passages()
        try:
            async with asyncio.timeout_at(deadline):
                others = await self._search.other_answers(query, hits[:BEST_QUESTIONS], OTHER_ANSWERS)
                candidates = [*hits, *others]
                passages = await self._passages.find(query, [source_of(hit) for hit in candidates], risk)
        except TimeoutError as error:
            message = "The embedding model, which chooses the passages, did not answer in time."
            raise AnswerTimeoutError(message, [source_of(hit) for hit in hits]) from error
        except EmbedderError as error:
            message = "The embedding model, which chooses the passages, is unavailable."
            raise AnswerUnavailableError(message, [source_of(hit) for hit in hits]) from error
        quoted = {one.source for one in passages.quotes}
        kept = [number for number in range(1, len(candidates) + 1) if number <= len(hits) or number in quoted]
        return [candidates[number - 1] for number in kept], passages.renumbered(kept)

    def _search_request(self, query: str, limit: int) -> SearchRequest:
        return SearchRequest(
            query=query,
            # Quotation marks and colons in a patient's words are not query syntax.
            plain_query=True,
            limit=limit,
        )

    async def _standalone_query(
        self, request: AnswerRequest, deadline: float, query_rewriter: QueryRewriter
    ) -> StandaloneQuery:
        if not request.conversation_history:
            return StandaloneQuery(request.question, QueryOrigin.QUESTION)
        limit = asyncio.get_running_loop().time() + self._settings.condense_time_limit
        return await query_rewriter.rewrite(request.question, request.conversation_history, min(deadline, limit))

    async def _generate(
        self, pending: PendingAnswer, *, streamed: bool
    ) -> AsyncGenerator[AnswerToken | AnswerUsage | AnswerDone]:
        started = time.perf_counter()
        text = ""
        try:
            async with aclosing(pending.generation.run(pending.deadline, streamed=streamed)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        text += piece
                        yield AnswerToken(text=piece)
                    else:
                        generate_ms = _ms(time.perf_counter() - started)
                        review = await self._review(pending, piece)
                        if piece.model != EXTRACTIVE_MODEL and (remark := risk_remark(pending.risk.risk, review.risk)):
                            text += remark
                            yield AnswerToken(text=remark)
                        for event in self._finish(pending, text, piece, review, generate_ms):
                            yield event
        except LanguageModelError as error:
            sources = pending.sources.sources
            generate_ms = _ms(time.perf_counter() - started)
            metrics.ANSWERS.labels("failed").inc()
            log.warning(ANSWER_FAILED, kind=error.kind, sources=len(sources), generate_ms=generate_ms)
            with notice_in_errors(pending.risk):
                raise ERRORS[error.kind](str(error), sources) from error

    async def _review(self, pending: PendingAnswer, generated: GenerationResult) -> Review:
        """Return what is found in what a language model wrote, or in the quotes. Never raises."""
        if not generated.own_text:
            return Review()
        risk = await self._screening.screen_answer(generated.own_text)
        if not generated.cited_texts:
            return Review(risk)
        started = time.perf_counter()
        known = f"{pending.question}\n{pending.found.query.text}"
        with recorded_requests() as embedded:
            sentences = await self._support.check(generated.own_text, generated.cited_texts, known)
        pending.sent.add_embedded(embedded)
        return Review(risk, sentences, language_of(generated.own_text), check_ms=_ms(time.perf_counter() - started))

    def _finish(
        self,
        pending: PendingAnswer,
        text: str,
        generated: GenerationResult,
        review: Review,
        generate_ms: float,
    ) -> tuple[AnswerUsage, AnswerDone]:
        total_ms = _ms(time.perf_counter() - pending.started)
        usage_event = AnswerUsage(
            usage=pending.found.query.usage + generated.usage,
            latency_ms=AnswerLatency(
                condense=pending.rewrite_ms,
                search=pending.search_ms,
                generate=generate_ms,
                check=review.check_ms,
                total=total_ms,
            ),
        )
        done = AnswerDone(
            model=generated.model,
            grounded=generated.grounding.grounded,
            uncited_sentences=list(generated.grounding.uncited_sentences),
            checked_sentences=list(review.sentences),
            question_language=language_of(pending.question),
            answer_language=review.language,
            prompt_version=generated.prompt.version if generated.prompt else None,
            template_hash=generated.prompt.template_hash if generated.prompt else None,
            cut_short=generated.cut_short,
            withheld=generated.withheld,
            left_out=list(generated.left_out),
            answer_risk=review.risk,
            sent=list(pending.sent.calls) if pending.show_sent else None,
        )
        metrics.count_left_out(done.left_out, done.withheld)
        metrics.ANSWERS.labels(done.model if done.model in (NO_MODEL, EXTRACTIVE_MODEL) else "llm").inc()
        log.info(
            ANSWER_COMPLETED,
            answer_id=str(pending.answer_id),
            model=done.model,
            sources=len(pending.hits),
            query_origin=pending.found.query.origin,
            grounded=done.grounded,
            risk=pending.risk.risk.level.value,
            left_out=len(done.left_out),
            withheld=done.withheld,
            generate_ms=generate_ms,
            check_ms=review.check_ms,
            unsupported=sum(one.support is SentenceSupport.UNSUPPORTED for one in review.sentences),
            total_tokens=usage_event.usage.total_tokens,
        )
        if self._records is not None:
            self._records.add(_record(pending, text, usage_event, done))
        return usage_event, done


async def _prepare_generation(
    generator: Generator,
    question: Question,
    hits: Sequence[SearchHit],
    passages: Passages,
    options: GenerationOptions,
) -> Generation:
    if not hits:
        return FixedGeneration(NOTHING_FOUND)
    return await generator.prepare(question, [source_of(hit) for hit in hits], passages, options)


def _record(pending: PendingAnswer, text: str, usage_event: AnswerUsage, done: AnswerDone) -> AnswerRecord:
    return AnswerRecord(
        answer_id=pending.answer_id,
        user=pending.user,
        question=pending.question,
        standalone_query=pending.found.query.text,
        filters=pending.found.search.model_dump(
            mode="json", exclude={"query", "limit", "plain_query"}, exclude_defaults=True
        ),
        hits=tuple(RecordedHit(hit.id, hit.version, hit.score) for hit in pending.hits),
        answer=text,
        model=done.model,
        prompt_version=done.prompt_version,
        usage=usage_event.usage,
        latency_ms=usage_event.latency_ms,
        created_at=datetime.now(UTC),
        risk=pending.risk.risk,
        withheld=done.withheld,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
