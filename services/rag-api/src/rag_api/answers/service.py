"""Answers: search, then generate an answer from the conversations found."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final
from uuid import uuid4

import structlog
from mh_common.embeddings.sent import recorded_requests
from mh_common.models import Answer, AnswerDone, AnswerEvent, AnswerRequest, AnswerToken, AnswerUsage, SearchHit

from rag_api import metrics
from rag_api.answers.errors import ERRORS, AnswerError
from rag_api.answers.finding import SourceFinder
from rag_api.answers.finishing import Finisher
from rag_api.answers.generators import (
    DEFAULT_OPTIONS,
    FixedGeneration,
    Generation,
    GenerationOptions,
    Generator,
    Question,
)
from rag_api.answers.language_models import AnswerBackends
from rag_api.answers.llm import LanguageModelError
from rag_api.answers.pending import PendingAnswer, milliseconds, source_of
from rag_api.answers.quoting import EXTRACTIVE_MODEL
from rag_api.passages.finder import Passages
from rag_api.safety.notice import risk_remark
from rag_api.safety.screening import ScreeningService, notice_in_errors, screened_beside
from rag_api.search.approval import CRISIS_PROTOCOL, HeldBack
from rag_api.settings import AnswersSettings

log = structlog.get_logger(__name__)

ANSWER_FAILED: Final = "answer_failed"

NOTHING_FOUND: Final = (
    "Nothing relevant was found: no indexed conversation is similar to this question, so there is nothing to base an "
    f"answer on. {CRISIS_PROTOCOL}"
)
HELD_BACK: Final = f"{{reason}} So there is nothing to base an answer on. {CRISIS_PROTOCOL}"


class AnswerService:
    """Suggests how to help a patient, grounded in the most similar conversations.

    Args:
        sources: finds the conversations, and what is worth reading in them.
        make_backends: makes the backends of a request that brings none of its own.
        screening: screens questions for risk.
        finisher: reviews complete answers, and records them.
        settings: time limits.
    """

    def __init__(
        self,
        sources: SourceFinder,
        make_backends: Callable[[], AnswerBackends],
        screening: ScreeningService,
        finisher: Finisher,
        settings: AnswersSettings,
    ) -> None:
        self._sources = sources
        self._make_backends = make_backends
        self._screening = screening
        self._finisher = finisher
        self._settings = settings

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
                finding = self._sources.find(request, deadline, backends.query_rewriter)
                risk, found = await screened_beside(screening, finding)
                with notice_in_errors(risk):
                    excerpts = backends.generator.reads_excerpts
                    hits, passages = await self._sources.passages(found, risk.risk, deadline, excerpts=excerpts)
            finally:
                backends.sent.add_embedded(embedded)
        standalone = found.query.text if found.query.text != request.question else None
        question = Question(request.question, standalone, risk.risk)
        with notice_in_errors(risk):
            generation = await _prepare_generation(
                backends.generator, question, hits, passages, options, found.held_back
            )
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
            rewrite_ms=milliseconds(found.rewritten - started),
            search_ms=milliseconds(time.perf_counter() - found.rewritten),
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
                        generate_ms = milliseconds(time.perf_counter() - started)
                        review = await self._finisher.review(pending, piece)
                        if piece.model != EXTRACTIVE_MODEL and (remark := risk_remark(pending.risk.risk, review.risk)):
                            text += remark
                            yield AnswerToken(text=remark)
                        for event in self._finisher.finish(pending, text, piece, review, generate_ms):
                            yield event
        except LanguageModelError as error:
            sources = pending.sources.sources
            generate_ms = milliseconds(time.perf_counter() - started)
            metrics.ANSWERS.labels("failed").inc()
            log.warning(ANSWER_FAILED, kind=error.kind, sources=len(sources), generate_ms=generate_ms)
            with notice_in_errors(pending.risk):
                raise ERRORS[error.kind](str(error), sources) from error


async def _prepare_generation(
    generator: Generator,
    question: Question,
    hits: Sequence[SearchHit],
    passages: Passages,
    options: GenerationOptions,
    held_back: HeldBack,
) -> Generation:
    if not hits:
        reason = held_back.as_text()
        return FixedGeneration(HELD_BACK.format(reason=reason) if reason else NOTHING_FOUND)
    return await generator.prepare(question, [source_of(hit) for hit in hits], passages, options)
