"""The common parts of embedders over HTTP: concurrent batches, retries, and validation of vectors."""

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
from mh_common.embeddings.sent import record
from mh_common.retries import Backoff, retry_after_from_headers

MAX_TEXT_BYTES = 24_000
"""Default limit at which texts are truncated. OpenAI's models read 8,192 tokens; English has 4 to 5 bytes per token,
other scripts rarely less than 3. In bytes, not characters, so that texts in other scripts are truncated sooner."""

MAX_REQUEST_BYTES = 600_000
"""OpenAI accepts 300,000 tokens in one request, however many texts; this assumes at least 2 bytes per token."""

REFUSED = frozenset({400, 413, 422})
"""Statuses that mean that the text is at fault."""


class RemoteOptions(TypedDict, total=False):
    """Request options; see `RemoteEmbedder`."""

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
    """Why an attempt failed.

    `status` is the HTTP status or the kind of failure, for the metrics. `retryable`: try again.
    """

    error: EmbedderError
    status: str
    retryable: bool


def server_unavailable(message: str, status: str) -> Failure:
    """Return the failure of a server that may answer the next attempt."""
    return Failure(EmbedderError(message, transient=True), status, retryable=True)


def incomplete_response(expected: int) -> Failure:
    """Return the failure for a response that does not have one vector per text."""
    message = f"The embedding server did not return one vector for each of {expected} texts"
    return Failure(EmbedderError(message, transient=True), "200", retryable=False)


def failure_from_status(status: int, headers: Mapping[str, str], retried: Collection[int]) -> Failure:
    """Return the failure for an HTTP status; those in `retried` and 5xx are retryable."""
    if status in REFUSED:
        message = f"The embedding server rejected the text ({status})"
        return Failure(EmbedderError(message, transient=False), str(status), retryable=False)
    if status in (401, 403):
        message = f"The embedding server rejected the API key ({status})"
        return Failure(EmbedderError(message, transient=True), str(status), retryable=False)
    retry_after = retry_after_from_headers(headers)
    error = EmbedderError(f"The embedding server returned {status}", transient=True, retry_after=retry_after)
    return Failure(error, str(status), retryable=status in retried or status >= 500)


class RemoteEmbedder(ABC):
    """An `Embedder` over HTTP that sends batches concurrently and retries failed ones.

    A retryable batch is sent at most `max_attempts` times, as long as the waits in between add up to at most `max_wait`
    seconds; a longer `Retry-After` is passed to the caller as `EmbedderError.retry_after`. When one batch fails, the
    others of the same call are cancelled. Splitting a rejected batch to find the one bad text is left to the caller.

    Args:
        model: the server's name for the model; identifies the embedding space.
        dimension: expected vector length; every vector is checked.
        batch_size: maximum number of texts in one request.
        max_concurrency: maximum number of concurrent requests, over all calls.
        timeout: timeout of one attempt, in seconds.
        max_attempts: maximum number of attempts for one request.
        max_wait: maximum total wait between the attempts of one request, in seconds.
        max_text_bytes: longer texts (in UTF-8) are truncated; lower it for a server with a smaller window.
        pad: pad shorter vectors with zeros, which does not change the cosine, instead of rejecting them.
        token_price: price of a million tokens, for the metrics; 0 if unknown.
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
        """See `Embedder.embed`; prefixes for the use are already part of the texts."""
        prepared = [self._prepare(text) for text in texts]
        batches = list(_batches(prepared, self._batch_size))
        for batch in batches:
            record(batch)
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
        """Send one request; return one vector per text, in order and not yet validated."""

    def _count_tokens(self, counted: object) -> None:
        """Count the tokens that the server reports, if it does; the type is not yet validated."""
        if isinstance(counted, int) and counted > 0:
            metrics.count_tokens(self.model, counted, self._token_price)

    def _prepare(self, text: str) -> str:
        # Truncate before encoding too, so that a huge text costs no more than a long one. "replace": lone surrogates.
        raw = text[: self._max_text_bytes].encode("utf-8", "replace")[: self._max_text_bytes]
        # OpenAI rejects empty texts, and with them the whole batch.
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
                if not outcome.retryable or attempt >= self._max_attempts or waited + wait > self._max_wait:
                    break
                waited += wait
                await self._sleep(wait)
        # Raised here so that the adapter's error is not its context: it quotes the server's response, which may quote
        # the text, and would be printed in a traceback.
        raise error

    def _unit(self, given: object) -> list[float]:
        vector = _decoded(given) if isinstance(given, str) else given
        length = len(vector) if isinstance(vector, list) else None
        if not isinstance(vector, list) or not self._fits(len(vector)):
            shown = type(given).__name__ if length is None else length
            raise VectorLengthError(f"Model {self.model} returned vectors of length {shown}, expected {self.dimension}")
        try:
            norm = math.hypot(*vector)
        except (TypeError, OverflowError):  # not a number; an integer too large for a float
            norm = math.nan
        if not math.isfinite(norm) or norm == 0.0:
            raise EmbedderError("The embedding server returned a zero or non-finite vector", transient=False)
        return [component / norm for component in vector] + [0.0] * (self.dimension - len(vector))

    def _fits(self, length: int) -> bool:
        return length == self.dimension or (self._pad and 0 < length < self.dimension)


def _decoded(text: str) -> list[float] | None:
    """Decode a vector from base64 (little-endian float32); None if it is invalid."""
    try:
        raw = base64.b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (binascii.Error, struct.error, ValueError):
        return None


def _batches(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield batches of at most `size` texts and `MAX_REQUEST_BYTES`, with at least one text each."""
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
