"""An embedding cache: in memory and, optionally, in a shared store."""

import asyncio
import hashlib
import logging
import struct
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from mh_common.batches import batched
from mh_common.embeddings import metrics
from mh_common.embeddings.protocol import Embedder, TextUse

log = logging.getLogger(__name__)

STORE_UNAVAILABLE = "embedding_cache_store_unavailable"
"""Logged when the store starts to fail, and not again until it has recovered. Embedding continues without it."""
STORE_RECOVERED = "embedding_cache_store_recovered"

STORE_TIMEOUT_S = 0.5
"""A slower store is skipped: embedding the text again may be faster."""
STORE_PAUSE_S = 30.0
"""How long the store is not used after a failure, so that not every call waits for the timeout."""

_QUERY_MARK = b"query\xff"
"""Begins what the key of a query is made from; no text in UTF-8 contains it."""

T = TypeVar("T")


class VectorStore(Protocol):
    """Stores vectors as bytes, by model and SHA-256 of the text; never the text. Methods may raise any exception."""

    async def get(self, model: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the vectors found, by key."""
        ...

    async def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Store these vectors, for the store's own retention time."""
        ...

    async def close(self) -> None:
        """Release the resources that the store opened itself."""
        ...


class CachedEmbedder:
    """An `Embedder` that caches the vectors of another one.

    Equal texts in one call are embedded once. Vectors are cached as float32 and always returned at that precision, so
    that a text has the same vector whether it was cached or not. The key is the text's SHA-256; texts are not stored.
    Two concurrent calls for the same new text both embed it.

    Args:
        inner: the embedder that does the work; closed with this one.
        memory_size: maximum number of vectors in memory (LRU; a vector of 1,536 dimensions takes 6 KB). 0: none.
        store: second level; closed with this one. Its failures and timeouts never make `embed` fail.
        prefixes: prefix that the model expects for each use, such as `query: ` for e5. It is part of the cached text.
        separate_queries: whether `inner` embeds a query otherwise than a passage of the same text, so that neither may
            get the other's vector.
        texts_per_call: maximum number of texts in one call of `inner`. The vectors of each call are cached before the
            next, so that a caller that gives up and comes again goes on from there. None: no maximum.
        clock: for tests.

    Attributes:
        hits_memory, hits_store, misses: distinct texts per call, by where their vector came from.
    """

    def __init__(
        self,
        inner: Embedder,
        *,
        memory_size: int = 10_000,
        store: VectorStore | None = None,
        prefixes: Mapping[TextUse, str] | None = None,
        separate_queries: bool = False,
        texts_per_call: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._memory: OrderedDict[bytes, bytes] = OrderedDict()
        self._memory_size = memory_size
        self._store = store
        self._prefixes = prefixes or {}
        self._separate_queries = separate_queries
        self._texts_per_call = texts_per_call
        self._clock = clock
        self._store_paused_until = float("-inf")
        self._store_failed = False
        self._format = struct.Struct(f"<{inner.dimension}f")
        self.hits_memory = 0
        self.hits_store = 0
        self.misses = 0

    @property
    def model(self) -> str:
        """The inner embedder's model, with the passage prefix, which makes it another embedding space."""
        prefix = self._prefixes.get(TextUse.PASSAGE)
        return f"{self._inner.model}+{prefix.strip()}" if prefix else self._inner.model

    @property
    def dimension(self) -> int:
        """The inner embedder's dimension."""
        return self._inner.dimension

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`."""
        texts = [self._prefixes.get(use, "") + text for text in texts]
        mark = _QUERY_MARK if self._separate_queries and use is TextUse.QUERY else b""
        # "surrogatepass" so that a text with a lone surrogate has a key too.
        keys = [hashlib.sha256(mark + text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found = self._from_memory(wanted)
        self.hits_memory += len(found)
        metrics.count_cache("memory", len(found))
        if unknown := [key for key in wanted if key not in found]:
            stored = await self._from_store(unknown)
            self.hits_store += len(stored)
            metrics.count_cache("store", len(stored))
            self._remember(stored)
            made = await self._embed_missing({key: wanted[key] for key in unknown if key not in stored}, use)
            found |= stored | made
        return [list(self._format.unpack(found[key])) for key in keys]

    async def close(self) -> None:
        """Close the inner embedder and the store."""
        await self._inner.close()
        if self._store is not None:
            await self._store.close()

    def _from_memory(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        found = {key: self._memory[key] for key in keys if key in self._memory}
        for key in found:
            self._memory.move_to_end(key)
        return found

    def _remember(self, vectors: Mapping[bytes, bytes]) -> None:
        self._memory.update(vectors)
        while len(self._memory) > self._memory_size:
            self._memory.popitem(last=False)

    async def _embed_missing(self, texts: Mapping[bytes, str], use: TextUse) -> dict[bytes, bytes]:
        made: dict[bytes, bytes] = {}
        # Texts of similar length go into one call, since a model pads them to the longest.
        keys = sorted(texts, key=lambda key: len(texts[key])) if self._texts_per_call else list(texts)
        for some in batched(keys, self._texts_per_call or len(keys) or 1):
            made |= await self._embed_and_cache({key: texts[key] for key in some}, use)
        return made

    async def _embed_and_cache(self, texts: Mapping[bytes, str], use: TextUse) -> dict[bytes, bytes]:
        self.misses += len(texts)
        metrics.count_cache("none", len(texts))
        with metrics.embedder_call(self.model, len(texts)):
            vectors = await self._inner.embed(list(texts.values()), use)
        made = {key: self._format.pack(*vector) for key, vector in zip(texts, vectors, strict=True)}
        self._remember(made)
        await self._call_store(lambda store: store.put(self.model, made), None)
        return made

    async def _from_store(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        nothing: Mapping[bytes, bytes] = {}
        values = await self._call_store(lambda store: store.get(self.model, keys), nothing)
        # A value of another length comes from another dimension or program: embed again and overwrite it.
        return {key: value for key, value in values.items() if len(value) == self._format.size}

    async def _call_store(self, ask: Callable[[VectorStore], Awaitable[T]], default: T) -> T:
        """Call the store, unless it is paused after a failure; return `default` if it fails."""
        if self._store is None or self._clock() < self._store_paused_until:
            return default
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                answer = await ask(self._store)
        except Exception as error:
            # Any error: the caller must never see a failure of the cache.
            self._store_paused_until = self._clock() + STORE_PAUSE_S
            if not self._store_failed:
                self._store_failed = True
                log.warning(STORE_UNAVAILABLE, extra={"error": type(error).__name__, "pause_s": STORE_PAUSE_S})
            return default
        if self._store_failed:
            self._store_failed = False
            log.info(STORE_RECOVERED)
        return answer
