"""Answer generators: one that asks a language model, and an extractive one that quotes the sources."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from mh_common.models import Risk, Source, UnsafeAdvice, Usage, Withheld
from mh_common.outgoing import OutgoingTexts, TextNotSentError

from rag_api.answers.grounding import Grounding, check_grounding
from rag_api.answers.llm import (
    SERVER_DEFAULTS,
    Completion,
    LanguageModel,
    Message,
    SamplingParams,
    empty_answer_error,
)
from rag_api.answers.prompts import Prompt, PromptIdentity, Prompts
from rag_api.answers.quoting import EXTRACTIVE_MODEL, quoted
from rag_api.answers.stream_sanitizer import StreamSanitizer
from rag_api.passages.finder import Passages
from rag_api.safety.answer_check import make_check
from rag_api.texts.markup import extract_urls

NO_MODEL: Final = "none"
NOTHING_FITS_MESSAGE: Final = (
    "The conversations found have no sentence short enough for the language model's context window, so no answer was "
    "generated. Read them in the sources."
)
NOTHING_TO_REST_ON: Final = (
    "The conversations found have no sentence that may be passed on to a language model, so no answer was generated. "
    "Read them in the sources."
)

NOT_ASKED: Final = "No language model was asked: {reason}."
WITHHELD: Final = "the question, its history or a conversation that was found {reason}"

UNGROUNDED: Final = Grounding(grounded=False)


@dataclass(frozen=True)
class Question:
    """A question as asked and, if it is a follow-up question, as a standalone query; and the risk noticed in it."""

    text: str
    standalone: str | None = None
    risk: Risk = field(default_factory=Risk)


MAX_INSTRUCTIONS_LENGTH: Final = 4000
"""Maximum characters of `GenerationOptions.instructions`."""


@dataclass(frozen=True)
class GenerationOptions:
    """Options of a caller for the generation of an answer.

    `instructions` are followed as far as they concern language, tone, length or form; they cannot override the prompt.
    """

    instructions: str = ""
    sampling: SamplingParams = SERVER_DEFAULTS


DEFAULT_OPTIONS: Final = GenerationOptions()


@dataclass(frozen=True)
class GenerationResult:
    """How an answer was generated.

    Attributes:
        cut_short: the language model reached a token limit before the end.
        withheld, left_out: see `AnswerDone`.
        own_text: what the model wrote of the text, or the quotes; empty for a fixed text.
        cited_texts: what the model was given to cite, by number; empty for quotes and fixed texts.
    """

    model: str
    usage: Usage = field(default_factory=Usage)
    grounding: Grounding = UNGROUNDED
    prompt: PromptIdentity | None = None
    cut_short: bool = False
    withheld: Withheld | None = None
    left_out: tuple[UnsafeAdvice, ...] = ()
    own_text: str = ""
    cited_texts: Mapping[int, str] = field(default_factory=dict)


class Generation(Protocol):
    """A prepared answer that can be generated."""

    def run(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | GenerationResult]:
        """Yield the sanitized text and finally the result.

        `streamed`: in chunks as they arrive, otherwise all at once; both give the same text for the same model output.
        `deadline` is a time of the event loop, in seconds. A caller that stops early must close the iterator.

        Raises:
            LanguageModelError: the only error; the text yielded so far is incomplete.
        """
        ...


class Generator(Protocol):
    """Generates answers."""

    @property
    def reads_excerpts(self) -> bool:
        """Whether it needs excerpts of the sources besides the passages to quote."""
        ...

    async def prepare(
        self,
        question: Question,
        sources: Sequence[Source],
        passages: Passages,
        options: GenerationOptions = DEFAULT_OPTIONS,
    ) -> Generation:
        """Prepare an answer from `sources`, which are not empty, most similar first, and their passages.

        Generators without a language model ignore `options`.

        Raises:
            QuestionTooLongError: the question leaves no room for sources.
        """
        ...


class LLMGenerator:
    """Generates answers with a language model.

    Args:
        language_model: the language model.
        prompts: renders the prompts.
        outgoing: the texts of this request on their way to the language model.
        quotes: answers if a text must not be sent.
    """

    reads_excerpts = True

    def __init__(
        self, language_model: LanguageModel, prompts: Prompts, outgoing: OutgoingTexts, quotes: "ExtractiveGenerator"
    ) -> None:
        self._language_model = language_model
        self._prompts = prompts
        self._outgoing = outgoing
        self._quotes = quotes

    async def prepare(
        self,
        question: Question,
        sources: Sequence[Source],
        passages: Passages,
        options: GenerationOptions = DEFAULT_OPTIONS,
    ) -> Generation:
        """See `Generator.prepare`."""
        if not passages.excerpts:
            return FixedGeneration(NOTHING_TO_REST_ON)
        # An empty answer keeps a source out of the prompt, but not its number.
        shown = [
            source.model_copy(update={"answer": passages.excerpts.get(number, "")})
            for number, source in enumerate(sources, 1)
        ]
        prepare = self._outgoing.prepare if self._outgoing.are_checked else None
        try:
            # In a thread, since counting the tokens of long texts is slow.
            prompt = await asyncio.to_thread(
                self._prompts.answer, question.text, shown, question.standalone, options.instructions, prepare
            )
            sampling = _with_prepared_stop(options.sampling, self._outgoing)
        except TextNotSentError as error:
            quotes = await self._quotes.prepare(question, sources, passages)
            reason = WITHHELD.format(reason=error)
            return ExplainedGeneration(NOT_ASKED.format(reason=reason), quotes)
        if not prompt.excerpts:
            return FixedGeneration(NOTHING_FITS_MESSAGE)
        return LLMGeneration(self._language_model, prompt, self._prompts.identity, question, self._outgoing, sampling)


def _with_prepared_stop(sampling: SamplingParams, outgoing: OutgoingTexts) -> SamplingParams:
    """Return the parameters as they may be sent: stop sequences are texts of the caller."""
    if sampling.stop is None:
        return sampling
    stop = sampling.stop
    prepared = outgoing.prepare(stop) if isinstance(stop, str) else [outgoing.prepare(one) for one in stop]
    return replace(sampling, stop=prepared)


class LLMGeneration:
    """An answer to be generated by a language model. Nothing of it is shown before it is held against the rules."""

    def __init__(
        self,
        language_model: LanguageModel,
        prompt: Prompt,
        identity: PromptIdentity,
        question: Question,
        outgoing: OutgoingTexts,
        sampling: SamplingParams = SERVER_DEFAULTS,
    ) -> None:
        self._language_model = language_model
        self._sampling = sampling
        self._prompt = prompt
        self._identity = identity
        self._question = question
        self._outgoing = outgoing

    async def run(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | GenerationResult]:
        """See `Generation.run`."""
        excerpts = self._prompt.excerpts
        shown_texts = itertools.chain.from_iterable((one.question, one.answer) for one in excerpts)
        allowed_urls = extract_urls(map(self._outgoing.restore, shown_texts))
        text = StreamSanitizer([one.number for one in excerpts], allowed_urls)
        # First, so that the original of a pseudonym is sanitized and checked like everything else.
        restorer = self._outgoing.restorer()
        question = self._question
        check = make_check(f"{question.text}\n{question.standalone or ''}", question.risk)
        is_empty = True
        completion = Completion("", NO_MODEL, Usage())
        async with aclosing(self._pieces(deadline, streamed)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    completion = piece
                    given = text.feed(restorer.feed(piece.text) + restorer.finish()) + text.finish()
                    given = check.feed(given) + check.finish()
                else:
                    given = check.feed(text.feed(restorer.feed(piece)))
                if given:
                    is_empty = False
                    yield given
        if is_empty:
            raise empty_answer_error()
        yield GenerationResult(
            model=completion.model,
            usage=completion.usage,
            grounding=check_grounding(check.passed),
            prompt=self._identity,
            cut_short=completion.cut_short,
            withheld=check.withheld,
            left_out=tuple(check.left_out),
            own_text=check.passed,
            cited_texts={one.number: self._outgoing.restore(f"{one.question}\n\n{one.answer}") for one in excerpts},
        )

    async def _pieces(self, deadline: float, streamed: bool) -> AsyncGenerator[str | Completion]:
        messages = [Message("system", self._prompt.system), Message("user", self._prompt.user)]
        if not streamed:
            yield await self._language_model.complete(messages, deadline, self._sampling)
            return
        async with aclosing(self._language_model.stream(messages, deadline, self._sampling)) as pieces:
            async for piece in pieces:
                yield piece


class ExtractiveGenerator:
    """Answers with quotes, without a language model.

    Args:
        reason: why there is no language model, to be said before the quotes; empty if nobody expected one.
    """

    reads_excerpts = False

    def __init__(self, reason: str = "") -> None:
        self._reason = reason

    async def prepare(
        self,
        question: Question,
        sources: Sequence[Source],
        passages: Passages,
        options: GenerationOptions = DEFAULT_OPTIONS,
    ) -> Generation:
        """See `Generator.prepare`."""
        generation: Generation = QuotesGeneration(
            quoted(passages.quotes, question.text, at_risk=question.risk.level.needs_notice)
        )
        return ExplainedGeneration(NOT_ASKED.format(reason=self._reason), generation) if self._reason else generation


class QuotesGeneration:
    """An answer of quotes: an introduction, and a part for each."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = parts

    async def run(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | GenerationResult]:
        """See `Generation.run`."""
        for part in self._parts if streamed else ["".join(self._parts)]:
            yield part
        # Each quote is cited, and the introduction makes no claims.
        yield GenerationResult(
            EXTRACTIVE_MODEL, grounding=Grounding(grounded=len(self._parts) > 1), own_text="".join(self._parts[1:])
        )


class ExplainedGeneration:
    """An answer that is preceded by a sentence."""

    def __init__(self, sentence: str, inner: Generation) -> None:
        self._sentence = sentence
        self._inner = inner

    async def run(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | GenerationResult]:
        """See `Generation.run`."""
        sentence = f"{self._sentence}\n\n"
        async with aclosing(self._inner.run(deadline, streamed=streamed)) as pieces:
            async for piece in pieces:
                # Only now, so that an error before the first word comes before this sentence too.
                if sentence:
                    yield sentence
                    sentence = ""
                yield piece


class FixedGeneration:
    """A fixed text that says why there is no answer."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def run(self, deadline: float, *, streamed: bool) -> AsyncGenerator[str | GenerationResult]:
        """See `Generation.run`."""
        yield self._text
        yield GenerationResult(NO_MODEL)
