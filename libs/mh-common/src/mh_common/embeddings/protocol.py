"""What every embedder promises, and the one error it raises."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Protocol


class TextUse(StrEnum):
    """What a text is to search. Some models want to be told, and place the same text differently."""

    PASSAGE = "passage"
    """Something to be found."""
    QUERY = "query"
    """What somebody looks for."""


class Embedder(Protocol):
    """Turns texts into vectors of one embedding space.

    An embedder belongs to the process that made it (make it after a fork) and to the event loop that first uses it.
    """

    @property
    def model(self) -> str:
        """Identity of the embedding space. Vectors of different models must never share a collection."""
        ...

    @property
    def dimension(self) -> int:
        """Number of components of every vector."""
        ...

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """Return one vector per text, in the order of the texts; no texts give no vectors.

        Every vector has `dimension` finite components and an L2 norm of 1 (to float32 precision), so that an inner
        product is a cosine. Any `str` is accepted: an empty one gets a vector, a long one is cut to what the model
        reads, a lone surrogate counts as "?". It is all or nothing: when one text fails, none is returned.

        Raises:
            EmbedderError: the only error; its `transient` tells whether the texts are at fault.
        """
        ...

    async def close(self) -> None:
        """Release connections and threads. The embedder must not be used afterwards."""
        ...


class EmbedderError(Exception):
    """No vectors could be made. The message is plain words and never holds any part of a text.

    Attributes:
        transient: True when the texts are not at fault, so the same call can succeed later: the server is busy,
            unreachable or answers nonsense, and also what an operator must put right (an expired key, an unknown
            model, a wrong dimension), because no text should be given up for a wrong setting.
            False when these texts were refused (too large, invalid, no usable vector): repeating is useless. In a
            call with several texts one of them can be the cause for all; the caller finds it by splitting.
        retry_after: seconds that the server asked to wait before the next try, or None when it did not say.
    """

    def __init__(self, message: str, *, transient: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        # Job queues pickle errors; by default that loses keyword arguments, and unpickling fails.
        return partial(type(self), transient=self.transient, retry_after=self.retry_after), self.args


class VectorLengthError(EmbedderError):
    """A vector came with another length than the model's. Always transient: mostly it is a wrong setting's fault, for
    every text. Who has proof that other texts get good vectors may give up this one."""

    def __init__(self, message: str, *, transient: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message, transient=transient, retry_after=retry_after)
