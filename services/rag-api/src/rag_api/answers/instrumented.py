"""A wrapper that counts, times and traces the calls of a language model."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Final

from mh_common.models import Usage
from mh_common.tracing import span

from rag_api import metrics
from rag_api.answers.llm import SERVER_DEFAULTS, Completion, LanguageModel, LanguageModelError, Message, SamplingParams

_OK: Final = "ok"
_ABANDONED: Final = "abandoned"


class InstrumentedLanguageModel:
    """A `LanguageModel` that delegates to another one and records metrics.

    Args:
        inner: the language model to call.
        prompt_price, completion_price: price of a million tokens; 0 if unknown.
    """

    def __init__(self, inner: LanguageModel, *, prompt_price: float, completion_price: float) -> None:
        self._inner = inner
        self._prices = prompt_price, completion_price

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._inner.name

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> Completion:
        """See `LanguageModel.complete`."""
        with self._call() as done:
            completion = await self._inner.complete(messages, deadline, sampling)
            done(completion.usage)
        return completion

    async def stream(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> AsyncGenerator[str | Completion]:
        """See `LanguageModel.stream`."""
        with self._call() as done:
            async with aclosing(self._inner.stream(messages, deadline, sampling)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completion):
                        done(piece.usage)
                    yield piece

    @contextmanager
    def _call(self) -> Iterator[Callable[[Usage], None]]:
        """Record the block as one call; it calls the yielded function when it has the whole answer."""
        outcome = _ABANDONED

        def done(usage: Usage) -> None:
            nonlocal outcome
            outcome = _OK
            metrics.count_tokens(usage, *self._prices)

        try:
            with span("llm", "client", alone=True), metrics.LLM_SECONDS.time():
                yield done
        except LanguageModelError as error:
            outcome = error.kind.value
            raise
        finally:
            metrics.LLM_CALLS.labels(outcome).inc()
