"""Answers: search, then let a generator write from the conversations found."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from mh_common.embeddings import EmbedderError
from mh_common.errors import DomainError
from mh_common.models import Answer, AnswerRequest, SearchHit, SearchRequest, Source, Usage

from rag_api.answers.extractive import MODEL, Extractive
from rag_api.answers.llm import Completion, FailureKind, LanguageModel, LanguageModelError, Message
from rag_api.answers.prompts import Prompts
from rag_api.search.service import SearchService

log = structlog.get_logger(__name__)

ANSWER_COMPLETED: Final = "answer_completed"
ANSWER_FAILED: Final = "answer_failed"

NO_MODEL: Final = "none"
NOTHING_FOUND: Final = (
    "Nothing relevant was found: no indexed conversation is near this question, so there is nothing to ground an "
    "answer in. If the patient may be at risk, follow your crisis protocol."
)


class AnswerError(DomainError):
    """No answer could be written. The member `sources` holds the conversations found, which are of use without it."""

    def __init__(self, message: str, sources: Sequence[Source]) -> None:
        super().__init__(f"{message} The sources are the conversations that were found.")
        self.members = {"sources": sources}


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


class Generator(Protocol):
    """Writes an answer from sources."""

    async def generate(self, question: str, sources: Sequence[Source]) -> Completion:
        """Return the answer to the question; `sources` is not empty, the most similar first.

        Raises:
            LanguageModelError: the only error.
        """
        ...


class ModelGenerator:
    """Lets a language model write."""

    def __init__(self, language_model: LanguageModel, prompts: Prompts) -> None:
        self._language_model = language_model
        self._prompts = prompts

    async def generate(self, question: str, sources: Sequence[Source]) -> Completion:
        """See `Generator.generate`."""
        prompt = self._prompts.answer(question, sources)
        return await self._language_model.complete([Message("system", prompt.system), Message("user", prompt.user)])


class QuoteGenerator:
    """Quotes, without a language model."""

    def __init__(self, extractive: Extractive, time_limit: float) -> None:
        self._extractive = extractive
        self._time_limit = time_limit

    async def generate(self, question: str, sources: Sequence[Source]) -> Completion:
        """See `Generator.generate`."""
        try:
            async with asyncio.timeout(self._time_limit):
                text = await self._extractive.write(question, sources)
        except TimeoutError as error:
            message = "The embedding model, which chooses the quotes, did not answer in time."
            raise LanguageModelError(FailureKind.TIMEOUT, message) from error
        except EmbedderError as error:
            message = "The embedding model, which chooses the quotes, cannot be used now."
            raise LanguageModelError(FailureKind.UNAVAILABLE, message) from error
        return Completion(text, MODEL, Usage())


class AnswerService:
    """Suggests how to help a patient, grounded in the nearest conversations."""

    def __init__(self, search: SearchService, generator: Generator) -> None:
        self._search = search
        self._generator = generator

    async def answer(self, request: AnswerRequest) -> Answer:
        """Return the suggestion and its sources.

        Raises:
            QueryRefusedError, UnavailableError: as the search does; nothing was found then.
            AnswerError: one of its kinds, with the sources.
        """
        found = await self._search.search(
            SearchRequest(
                query=request.question,
                # A patient's words may hold quotes and colons that mean nothing here.
                plain_query=True,
                limit=request.top_k,
                similarity_threshold=self._search.relevance_threshold,
            )
        )
        rebuilding = found.index_rebuilding
        if not found.hits:
            return Answer(answer=NOTHING_FOUND, sources=[], model=NO_MODEL, usage=Usage(), index_rebuilding=rebuilding)
        sources = [_source(hit) for hit in found.hits]
        started = time.perf_counter()
        try:
            completion = await self._generator.generate(request.question, sources)
        except LanguageModelError as error:
            log.warning(ANSWER_FAILED, kind=error.kind, sources=len(sources), generate_ms=_ms_since(started))
            raise _ERROR_OF[error.kind](str(error), sources) from error
        log.info(
            ANSWER_COMPLETED,
            model=completion.model,
            sources=len(sources),
            generate_ms=_ms_since(started),
            total_tokens=completion.usage.total_tokens,
        )
        return Answer(
            answer=completion.text,
            sources=sources,
            model=completion.model,
            usage=completion.usage,
            index_rebuilding=rebuilding,
        )


def _source(hit: SearchHit) -> Source:
    return Source(id=hit.id, question=hit.question, answer=hit.answer, score=hit.score)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
