"""From a text to matches of the index: embed it, then ask."""

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from mh_common.embeddings import Embedder, EmbedderError, TextUse
from mh_common.errors import DomainError, UnavailableError
from mh_common.models import SearchMode

from rag_api import metrics
from rag_api.search.filters import Condition
from rag_api.search.index import MAX_MATCHES, IndexQuery, Match, VectorIndex, VectorIndexError

log = structlog.get_logger(__name__)

EMBEDDER_FAILED: Final = "embedder_failed"


class QueryRefusedError(DomainError):
    """The embedder takes this text under no circumstances."""


class Retriever:
    """Asks embedder and index.

    Args:
        embedder: of the model that the index was made with.
        index: what is searched.
        embed_timeout: seconds until the embedding of a query is given up.
    """

    def __init__(self, embedder: Embedder, index: VectorIndex, embed_timeout: float) -> None:
        self._embedder = embedder
        self._index = index
        self._embed_timeout = embed_timeout

    @property
    def index_rebuilding(self) -> bool:
        """See `VectorIndex.rebuilding`."""
        return self._index.rebuilding

    async def query(self, text: str, mode: SearchMode) -> IndexQuery:
        """Return what the index is to look for; a mode without meaning needs no embedding.

        Raises:
            QueryRefusedError: the embedder refuses the text.
            UnavailableError: the embedder is down.
        """
        return IndexQuery(mode, text, None if mode is SearchMode.KEYWORD else await self._embed(text))

    async def matches(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        """Return the best matches, see `VectorIndex.search`. Raises UnavailableError: the index is down."""
        with _search_part():
            return await self._index.search(query, limit, condition)

    async def ranks(self, query: IndexQuery, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        """Return the ranks by part, see `VectorIndex.ranks`. Raises UnavailableError: the index is down."""
        with _search_part():
            return await self._index.ranks(query, MAX_MATCHES, condition)

    async def _embed(self, text: str) -> list[float]:
        try:
            with metrics.search_part("embed"):
                async with asyncio.timeout(self._embed_timeout):
                    return (await self._embedder.embed([text], TextUse.QUERY))[0]
        except TimeoutError:
            failure: DomainError = UnavailableError("The embedding model does not answer in time.", retry_after=5)
        except EmbedderError as error:
            if error.transient:
                retry_after = math.ceil(error.retry_after or 5)
                failure = UnavailableError(f"The embedding model cannot be used now: {error}.", retry_after)
            else:
                failure = QueryRefusedError("The embedding model refuses this text.")
        log.warning(EMBEDDER_FAILED, error=type(failure).__name__)
        raise failure


@contextmanager
def _search_part() -> Iterator[None]:
    try:
        with metrics.search_part("search"):
            yield
    except VectorIndexError as error:
        raise UnavailableError(str(error), error.retry_after) from error
