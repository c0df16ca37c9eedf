"""What writes answers from sources: a language model, or without one the sources themselves as quotes."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol

from mh_common.embeddings import EmbedderError
from mh_common.models import Source, Usage

from rag_api.answers.answer_text import AnswerText
from rag_api.answers.extractive import MODEL, Extractive
from rag_api.answers.grounding import Grounding, ground
from rag_api.answers.llm import (
    AS_SERVED,
    Completion,
    FailureKind,
    LanguageModel,
    LanguageModelError,
    Message,
    Sampling,
    empty_answer,
)
from rag_api.answers.markup import addresses
from rag_api.answers.prompts import Prompt, PromptIdentity, Prompts

NO_MODEL: Final = "none"
NOTHING_FITS: Final = (
    "The conversations found hold no sentence short enough for the language model to read, so nothing was written. "
    "Read them in the sources."
)


UNGROUNDED: Final = Grounding(grounded=False)


@dataclass(frozen=True)
class Question:
    """A question as it was asked, and in full where it follows up on others."""

    text: str
    standalone: str | None = None


MAX_INSTRUCTIONS: Final = 4000
"""Characters."""


@dataclass(frozen=True)
class Wishes:
    """What a caller wants of an answer beside its question.

    `instructions` are followed where they touch language, tone, length or form, and never against the prompt.
    """

    instructions: str = ""
    sampling: Sampling = AS_SERVED


NO_WISHES: Final = Wishes()


@dataclass(frozen=True)
class Written:
    """How an answer was written. `cut_short`: the language model came to a limit of tokens before its end."""

    model: str
    usage: Usage = field(default_factory=Usage)
    grounding: Grounding = UNGROUNDED
    prompt: PromptIdentity | None = None
    cut_short: bool = False


class Draft(Protocol):
    """An answer that is about to be written."""

    def write(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | Written]:
        """Yield the text, as it is to be shown, and last how it was written.

        `streamed`: in pieces, as soon as they are there; otherwise whole. The text is the same for the same words of
        the model. `deadline` is a time of the event loop. Who stops iterating closes the iterator.

        Raises:
            LanguageModelError: the only error; what was yielded before is not the whole text.
        """
        ...


class Generator(Protocol):
    """Writes answers."""

    async def draft(self, question: Question, sources: Sequence[Source], wishes: Wishes = NO_WISHES) -> Draft:
        """Prepare an answer from `sources`, which are not empty, the most similar first.

        Who writes without a language model has no use for `wishes`.

        Raises:
            QuestionTooLongError: the question leaves no room for sources.
        """
        ...


class ModelGenerator:
    """Lets a language model write."""

    def __init__(self, language_model: LanguageModel, prompts: Prompts) -> None:
        self._language_model = language_model
        self._prompts = prompts

    async def draft(self, question: Question, sources: Sequence[Source], wishes: Wishes = NO_WISHES) -> Draft:
        """See `Generator.draft`."""
        # A thread, since counting the tokens of long texts takes its time.
        prompt = await asyncio.to_thread(
            self._prompts.answer, question.text, sources, question.standalone, wishes.instructions
        )
        if not prompt.excerpts:
            return FixedDraft(NOTHING_FITS)
        return ModelDraft(self._language_model, prompt, self._prompts.identity, wishes.sampling)


class ModelDraft:
    """An answer that a language model is about to write."""

    def __init__(
        self, language_model: LanguageModel, prompt: Prompt, identity: PromptIdentity, sampling: Sampling = AS_SERVED
    ) -> None:
        self._language_model = language_model
        self._sampling = sampling
        self._prompt = prompt
        self._identity = identity

    async def write(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | Written]:
        """See `Draft.write`."""
        excerpts = self._prompt.excerpts
        known = addresses(itertools.chain.from_iterable((one.question, one.answer) for one in excerpts))
        text = AnswerText([one.number for one in excerpts], known)
        shown = ""
        completion = Completion("", NO_MODEL, Usage())
        async with aclosing(self._pieces(deadline, streamed)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    completion, given = piece, text.feed(piece.text) + text.finish()
                else:
                    given = text.feed(piece)
                if given:
                    shown += given
                    yield given
        if not shown:
            raise empty_answer()
        grounding = ground(shown)
        yield Written(completion.model, completion.usage, grounding, self._identity, completion.cut_short)

    async def _pieces(self, deadline: float, streamed: bool) -> AsyncGenerator[str | Completion]:
        messages = [Message("system", self._prompt.system), Message("user", self._prompt.user)]
        if not streamed:
            yield await self._language_model.complete(messages, deadline, self._sampling)
            return
        async with aclosing(self._language_model.stream(messages, deadline, self._sampling)) as pieces:
            async for piece in pieces:
                yield piece


class QuoteGenerator:
    """Quotes, without a language model."""

    def __init__(self, extractive: Extractive) -> None:
        self._extractive = extractive

    async def draft(self, question: Question, sources: Sequence[Source], wishes: Wishes = NO_WISHES) -> Draft:
        """See `Generator.draft`."""
        return QuoteDraft(self._extractive, question.standalone or question.text, sources)


class QuoteDraft:
    """An answer of quotes that are about to be chosen."""

    def __init__(self, extractive: Extractive, question: str, sources: Sequence[Source]) -> None:
        self._extractive = extractive
        self._question = question
        self._sources = sources

    async def write(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | Written]:
        """See `Draft.write`."""
        parts = await self._parts(deadline)
        for part in parts if streamed else ["".join(parts)]:
            yield part
        # Each quote carries the number of its source; what stands before them claims nothing.
        yield Written(MODEL, grounding=Grounding(grounded=len(parts) > 1))

    async def _parts(self, deadline: float) -> list[str]:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._extractive.write(self._question, self._sources)
        except TimeoutError as error:
            message = "The embedding model, which chooses the quotes, did not answer in time."
            raise LanguageModelError(FailureKind.TIMEOUT, message) from error
        except EmbedderError as error:
            message = "The embedding model, which chooses the quotes, cannot be used now."
            raise LanguageModelError(FailureKind.UNAVAILABLE, message) from error


class FixedDraft:
    """An answer that says why there is none."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def write(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | Written]:
        """See `Draft.write`."""
        yield self._text
        yield Written(NO_MODEL)
