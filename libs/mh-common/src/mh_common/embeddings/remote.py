"""What embedders over HTTP have in common: batches side by side, further attempts, and checked vectors."""

import asyncio
import base64
import binascii
import itertools
import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from mh_common.embeddings import metrics
from mh_common.embeddings.protocol import EmbedderError, TextUse, VectorLengthError
from mh_common.retries import Backoff, retry_after_of

MAX_TEXT_BYTES = 24_000
"""Where a text is cut by default. OpenAI's models read 8,192 tokens; English has 4 to 5 bytes a token and other
scripts rarely less than 3. Counted in bytes, not characters, so that a text in another script is cut sooner."""

MAX_REQUEST_BYTES = 600_000
"""OpenAI takes 300,000 tokens in one request, whatever the number of texts; this leaves 2 bytes for each."""

REFUSED = frozenset({400, 413, 422})
"""Statuses that say that the text is at fault."""


class RemoteOptions(TypedDict, total=False):
    """How a server is asked; see `RemoteEmbedder`."""

    batch_size: int
    max_concurrency: int
    timeout: float
    max_attempts: int
    max_wait: float
    max_text_bytes: int
    pad: bool
    token_price: float
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed: `status`, of HTTP or what came in its place, is for the metrics.

    `again`: another attempt at once makes sense.
    """

    error: EmbedderError
    status: str
    again: bool


def away(message: str, status: str) -> Failure:
    """Return that of a server which may answer the next attempt."""
    return Failure(EmbedderError(message, transient=True), status, again=True)


def incomplete(expected: int) -> Failure:
    """Return that of an answer which has not one vector for each text."""
    message = f"The embedding server did not give one vector for each of {expected} texts"
    return Failure(EmbedderError(message, transient=True), "200", again=False)


def of_status(status: int, headers: Mapping[str, str], retried: Collection[int]) -> Failure:
    """Return that of an HTTP status; another attempt makes sense with those that are `retried`, and with 5xx."""
    if status in REFUSED:
        message = f"The embedding server refused the text ({status})"
        return Failure(EmbedderError(message, transient=False), str(status), again=False)
    if status in (401, 403):
        message = f"The embedding server refused the key ({status})"
        return Failure(EmbedderError(message, transient=True), str(status), again=False)
    retry_after = retry_after_of(headers)
    error = EmbedderError(f"The embedding server answered {status}", transient=True, retry_after=retry_after)
    return Failure(error, str(status), again=status in retried or status >= 500)


class RemoteEmbedder(ABC):
    """An `Embedder` over HTTP. Sends batches side by side, and tries a failed one again by itself.

    A batch is sent again when its attempt says so, at most `max_attempts` times in all and as long as its waits add up
    to at most `max_wait` seconds; a `Retry-After` beyond that is handed to the caller as `EmbedderError.retry_after`.
    When one batch fails for good, the others of the same call are cancelled. Splitting a refused batch to find the one
    bad text is left to the caller.

    Args:
        model: name of the model at the server, and so of the embedding space.
        dimension: expected vector length; every vector is checked.
        batch_size: most texts in one request.
        max_concurrency: most requests under way at once, over all calls.
        timeout: seconds for one attempt.
        max_attempts: most attempts for one request.
        max_wait: most seconds spent waiting between the attempts of one request.
        max_text_bytes: longer texts (in UTF-8) are cut here; a server with a smaller window needs a smaller value.
        pad: fill shorter vectors up with zeros, which changes no cosine, instead of refusing them.
        token_price: of a million tokens, for the metrics; 0 when it is not known.
        backoff, sleep: for tests, which must not wait.
    """

    def __init__(
        self,
        *,
        model: str,
        dimension: int,
        batch_size: int = 128,
        max_concurrency: int = 4,
        timeout: float = 30.0,
        max_attempts: int = 5,
        max_wait: float = 60.0,
        max_text_bytes: int = MAX_TEXT_BYTES,
        pad: bool = False,
        token_price: float = 0.0,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.model = model
        self.dimension = dimension
        self._batch_size = batch_size
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._max_wait = max_wait
        self._max_text_bytes = max_text_bytes
        self._pad = pad
        self._token_price = token_price
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._slots = asyncio.Semaphore(max_concurrency)

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`; what a model must be told of the use stands in the texts."""
        batches = _batches([self._prepare(text) for text in texts], self._batch_size)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._embed_batch(batch)) for batch in batches]
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
        else:
            return [vector for task in tasks for vector in task.result()]
        raise first

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""

    @abstractmethod
    async def _attempt(self, batch: list[str]) -> Sequence[object] | Failure:
        """Ask once; return one vector for each text, in their order and not yet looked at."""

    def _count_tokens(self, counted: object) -> None:
        """Count what the server says that a request had; not every one tells, and nobody checked the type."""
        if isinstance(counted, int) and counted > 0:
            metrics.count_tokens(self.model, counted, self._token_price)

    def _prepare(self, text: str) -> str:
        # Cut before encoding, so that a huge text costs no more than a long one. Lone surrogates have no UTF-8.
        raw = text[: self._max_text_bytes].encode("utf-8", "replace")[: self._max_text_bytes]
        # OpenAI refuses the empty text, and with it the whole batch.
        return raw.decode("utf-8", "ignore") or " "

    async def _embed_batch(self, batch: list[str]) -> list[list[float]]:
        waited = 0.0
        async with self._slots:
            for attempt in itertools.count(1):
                outcome = await self._attempt(batch)
                status = outcome.status if isinstance(outcome, Failure) else "200"
                metrics.ATTEMPTS.labels(self.model, status).inc()
                if not isinstance(outcome, Failure):
                    return [self._unit(vector) for vector in outcome]
                error = outcome.error
                wait = self._backoff.wait(attempt, error.retry_after)
                if not outcome.again or attempt >= self._max_attempts or waited + wait > self._max_wait:
                    break
                waited += wait
                await self._sleep(wait)
        # Raised out here, where the adapter's error is no longer the context: it quotes the server's answer, which may
        # quote the text, and would be printed in a traceback.
        raise error

    def _unit(self, given: object) -> list[float]:
        vector = _decoded(given) if isinstance(given, str) else given
        length = len(vector) if isinstance(vector, list) else None
        if not isinstance(vector, list) or not self._fits(len(vector)):
            shown = type(given).__name__ if length is None else length
            raise VectorLengthError(f"Model {self.model} gave vectors of length {shown}, expected {self.dimension}")
        try:
            norm = math.hypot(*vector)
        except (TypeError, OverflowError):  # not a number; an integer beyond any float
            norm = math.nan
        if not math.isfinite(norm) or norm == 0.0:
            raise EmbedderError("The embedding server gave a vector without direction", transient=False)
        return [component / norm for component in vector] + [0.0] * (self.dimension - len(vector))

    def _fits(self, length: int) -> bool:
        return length == self.dimension or (self._pad and 0 < length < self.dimension)


def _decoded(text: str) -> list[float] | None:
    """Return a vector from its bytes in base64: float32, little end first; None when it is none."""
    try:
        raw = base64.b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (binascii.Error, struct.error, ValueError):
        return None


def _batches(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """Cut into runs of at most `size` texts and `MAX_REQUEST_BYTES`, at least one text each."""
    batch: list[str] = []
    total = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == size or total + length > MAX_REQUEST_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(text)
        total += length
    if batch:
        yield batch
