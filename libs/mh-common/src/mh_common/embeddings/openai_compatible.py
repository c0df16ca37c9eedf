"""Embeddings from OpenAI or any server that speaks its `POST /embeddings`."""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, omit
from openai.types import CreateEmbeddingResponse, Embedding

from mh_common.embeddings.backoff import Backoff, parse_retry_after
from mh_common.embeddings.protocol import EmbedderError, TextUse, VectorLengthError

NATIVE_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""Vector lengths of OpenAI's models when no other is asked for."""

MAX_TEXT_BYTES = 24_000
"""Where a text is cut by default. OpenAI's models read 8,192 tokens; English has 4 to 5 bytes a token and other
scripts rarely less than 3. Counted in bytes, not characters, so that a text in another script is cut sooner."""

MAX_REQUEST_BYTES = 600_000
"""OpenAI takes 300,000 tokens in one request, whatever the number of texts; this leaves 2 bytes for each."""

_RETRIED = frozenset({408, 409, 429})
_REFUSED = frozenset({400, 413, 422})


class OpenAICompatibleEmbedder:
    """An `Embedder` over HTTP. Sends batches side by side, and tries a failed one again by itself.

    A batch is sent again on 408, 409, 429, 5xx, a timeout or a lost connection, at most `max_attempts` times in all
    and as long as its waits add up to at most `max_wait` seconds; a `Retry-After` beyond that is handed to the
    caller as `EmbedderError.retry_after`. Nothing else is retried. When one batch fails for good, the others of
    the same call are cancelled. Splitting a refused batch to find the one bad text is left to the caller.

    Args:
        api_key: sent as bearer token; a server without keys takes any non-empty text.
        base_url: address up to and with `/v1`; None for OpenAI itself.
        model: name of the model at the server, and so of the embedding space.
        dimension: expected vector length; every vector is checked. It is sent to the server only where it differs
            from the native length of one of OpenAI's models, since other servers refuse the parameter.
        batch_size: most texts in one request (OpenAI's limit is 2,048).
        max_concurrency: most requests under way at once, over all calls.
        timeout: seconds for one attempt.
        max_attempts: most attempts for one request.
        max_wait: most seconds spent waiting between the attempts of one request.
        max_text_bytes: longer texts (in UTF-8) are cut here; a server with a smaller window needs a smaller value.
        backoff, sleep: for tests, which must not wait.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        model: str,
        dimension: int,
        batch_size: int = 128,
        max_concurrency: int = 4,
        timeout: float = 30.0,
        max_attempts: int = 5,
        max_wait: float = 60.0,
        max_text_bytes: int = MAX_TEXT_BYTES,
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
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._slots = asyncio.Semaphore(max_concurrency)
        # The SDK's own retries are off: one place decides on retries, with a bound on the total wait.
        self._client = AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=timeout, max_retries=0)
        shortened = NATIVE_DIMENSIONS.get(model, dimension) != dimension
        self._dimensions = dimension if shortened else omit

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

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

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
                if isinstance(outcome, CreateEmbeddingResponse):
                    return self._vectors(outcome, len(batch))
                error, again = outcome
                wait = self._backoff.wait(attempt, error.retry_after)
                if not again or attempt >= self._max_attempts or waited + wait > self._max_wait:
                    break
                waited += wait
                await self._sleep(wait)
        # Raised out here, where the SDK's error is no longer the context: it quotes the server's answer, which may
        # quote the text, and would be printed in a traceback.
        raise error

    async def _attempt(self, batch: list[str]) -> CreateEmbeddingResponse | tuple[EmbedderError, bool]:
        """The parsed answer, or the error and whether trying again at once makes sense."""
        try:
            # The SDK bounds each single read; this bounds the attempt, also against a server that trickles.
            async with asyncio.timeout(self._timeout):
                # "float" is asked for because not every compatible server knows the SDK's default, base64.
                answer = await self._client.embeddings.create(
                    input=batch, model=self.model, dimensions=self._dimensions, encoding_format="float"
                )
        except APIStatusError as error:
            return _from_status(error)
        except (APITimeoutError, TimeoutError):
            return EmbedderError("The embedding server did not answer in time", transient=True), True
        except APIConnectionError:
            return EmbedderError("The embedding server cannot be reached", transient=True), True
        except Exception as error:  # the SDK lets errors of JSON parsing and of its own checks through as they are
            name = type(error).__name__
            return EmbedderError(f"The embedding server's answer is unreadable ({name})", transient=True), True
        if isinstance(answer, CreateEmbeddingResponse):
            return answer
        # An answer that is not JSON, such as a proxy's page, comes through the SDK as text, against its types.
        return EmbedderError("The embedding server's answer is not JSON", transient=True), True

    def _vectors(self, answer: CreateEmbeddingResponse, expected: int) -> list[list[float]]:
        """Check the answer and bring it in order; the SDK checks nothing."""
        try:
            items = sorted(answer.data, key=lambda item: item.index)
            complete = [item.index for item in items] == list(range(expected))
        except (AttributeError, TypeError):
            complete = False
        if not complete:
            message = f"The embedding server did not give one vector for each of {expected} texts"
            raise EmbedderError(message, transient=True)
        return [self._unit(item) for item in items]

    def _unit(self, item: Embedding) -> list[float]:
        vector: object = item.embedding  # the SDK checks no types
        if not isinstance(vector, list) or len(vector) != self.dimension:
            given = len(vector) if isinstance(vector, list) else type(vector).__name__
            raise VectorLengthError(f"Model {self.model} gave vectors of length {given}, expected {self.dimension}")
        try:
            norm = math.hypot(*vector)
        except (TypeError, OverflowError):  # not a number; an integer beyond any float
            norm = math.nan
        if not math.isfinite(norm) or norm == 0.0:
            raise EmbedderError("The embedding server gave a vector without direction", transient=False)
        return [component / norm for component in vector]


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


def _from_status(error: APIStatusError) -> tuple[EmbedderError, bool]:
    status = error.status_code
    if status in _REFUSED:
        return EmbedderError(f"The embedding server refused the text ({status})", transient=False), False
    if error.code == "insufficient_quota":
        return EmbedderError("The account at the embedding server has no quota left", transient=True), False
    if status in (401, 403):
        return EmbedderError(f"The embedding server refused the key ({status})", transient=True), False
    retry_after = parse_retry_after(error.response.headers)
    message = f"The embedding server answered {status}"
    return EmbedderError(message, transient=True, retry_after=retry_after), status in _RETRIED or status >= 500
