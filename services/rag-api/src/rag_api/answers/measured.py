"""A language model whose calls are counted, timed and traced."""

from collections.abc import Sequence
from typing import Final

from mh_common.tracing import span

from rag_api import metrics
from rag_api.answers.llm import Completion, LanguageModel, LanguageModelError, Message

_OK: Final = "ok"


class MeasuredLanguageModel:
    """The `LanguageModel` that asks another one.

    Args:
        inner: does the work.
        prompt_price, completion_price: of a million tokens; 0 where it is not known.
    """

    def __init__(self, inner: LanguageModel, *, prompt_price: float, completion_price: float) -> None:
        self._inner = inner
        self._prices = prompt_price, completion_price

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """See `LanguageModel.complete`."""
        with span("llm", "client"), metrics.LLM_SECONDS.time():
            try:
                completion = await self._inner.complete(messages)
            except LanguageModelError as error:
                metrics.LLM_CALLS.labels(error.kind.value).inc()
                raise
        metrics.LLM_CALLS.labels(_OK).inc()
        metrics.count_tokens(completion.usage, *self._prices)
        return completion
