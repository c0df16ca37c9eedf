"""The `Embedder` protocol and the one error it raises."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Protocol


class TextUse(StrEnum):
    """The role of a text in search. Some models embed queries and passages differently."""

    PASSAGE = "passage"
    """A text to be found."""
    QUERY = "query"
    """A search query."""


class Embedder(Protocol):
    """Turns texts into vectors of one embedding space.

    An embedder belongs to the process that created it (create it after a fork) and the event loop that first uses it.
    """

    @property
    def model(self) -> str:
        """Identity of the embedding space. Vectors of different models must never share a collection."""
        ...

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        ...

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """Return one vector per text, in the order of the texts; an empty list for no texts.

        Every vector has `dimension` finite components and an L2 norm of 1 (to float32 precision), so that the inner
        product is the cosine. Any `str` is accepted: an empty one gets a vector too, a long one is truncated to the
        model's window, a lone surrogate becomes "?". If one text fails, no vectors are returned.

        Raises:
            EmbedderError: the only error; `transient` says whether the texts are at fault.
        """
        ...

    async def close(self) -> None:
        """Release connections and threads. The embedder must not be used afterwards."""
        ...


class EmbedderError(Exception):
    """Embedding failed. The message never contains any part of a text.

    Attributes:
        transient: True if the texts are not at fault, so that the same call can succeed later: the server is busy,
            unreachable or sends invalid responses. Also True for what an operator must fix (an expired key, an unknown
            model, a wrong dimension), because no text should be marked as failed for a wrong setting.
            False if the texts were rejected (too large, invalid, no usable vector): retrying is useless. In a call with
            several texts a single one can be the cause; the caller finds it by splitting the batch.
        retry_after: seconds to wait before the next attempt, as requested by the server; None if it did not say.
    """

    def __init__(self, message: str, *, transient: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        # Job queues pickle errors; the default loses keyword arguments, so that unpickling fails.
        return partial(type(self), transient=self.transient, retry_after=self.retry_after), self.args


class VectorLengthError(EmbedderError):
    """A vector does not have the model's dimension. Always transient: the usual cause is a wrong setting, which affects
    every text. A caller that knows that other texts get correct vectors may mark this one as failed."""

    def __init__(self, message: str, *, transient: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message, transient=transient, retry_after=retry_after)


class TextWithheldError(EmbedderError):
    """A text was not sent to the embedding server, because of the identifiers in it. Retrying is useless.

    Args:
        reason: why, in words that complete "It was not sent: it …".
    """

    def __init__(self, reason: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        super().__init__(reason, transient=transient, retry_after=retry_after)

    def __str__(self) -> str:
        return f"The text was not sent to the embedding server: it {self.args[0]}"
