"""Retrieval: embed the query as the client would put it, then search the index for all of its views at once."""

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from mh_common.embeddings import Embedder, EmbedderError, TextUse, TextWithheldError
from mh_common.errors import DomainError, UnavailableError
from mh_common.models import SearchMode

from rag_api import metrics
from rag_api.search.filters import Condition
from rag_api.search.index import MAX_MATCHES, IndexQuery, Match, VectorIndex, VectorIndexError
from rag_api.search.views import QueryViews

log = structlog.get_logger(__name__)

EMBEDDER_FAILED: Final = "embedder_failed"


class QueryRejectedError(DomainError):
    """The embedding model rejects this text, or must not get it, and so it would be again."""


class Retriever:
    """Embeds queries and searches the index.

    Args:
        embedder: uses the model that the index was built with.
        index: the index to search.
        embed_timeout: timeout of embedding one query, in seconds.
    """

    def __init__(self, embedder: Embedder, index: VectorIndex, embed_timeout: float) -> None:
        self._embedder = embedder
        self._index = index
        self._embed_timeout = embed_timeout

    @property
    def index_rebuilding(self) -> bool:
        """See `VectorIndex.rebuilding`."""
        return self._index.rebuilding

    async def query(self, views: QueryViews, mode: SearchMode) -> IndexQuery:
        """Return the query for the index; keyword mode needs no embedding.

        The search by meaning is for the query as the client would put it; the one by words is for the words typed.

        Raises:
            QueryRejectedError: the embedding model rejects the text, or must not get it.
            UnavailableError: the embedder is down.
        """
        if mode is SearchMode.KEYWORD:
            return IndexQuery(mode, views.keywords)
        return IndexQuery(mode, views.keywords, await self._embed(views.as_client))

    async def matches(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        """Return the best matches, see `VectorIndex.search`. Raises UnavailableError: the index is down."""
        with _search_part():
            return await self._index.search(query, limit, condition)

    async def ranks(self, query: IndexQuery, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        """Return the ranks in each part, see `VectorIndex.ranks`. Raises UnavailableError: the index is down."""
        with _search_part():
            return await self._index.ranks(query, MAX_MATCHES, condition)

    async def _embed(self, text: str) -> list[float]:
        try:
            with metrics.search_part("embed"):
                async with asyncio.timeout(self._embed_timeout):
                    return (await self._embedder.embed([text], TextUse.QUERY))[0]
        except TimeoutError:
            failure: DomainError = UnavailableError("The embedding model did not answer in time.", retry_after=5)
        except EmbedderError as error:
            if isinstance(error, TextWithheldError):
                failure = QueryRejectedError(f"{error}. Leave names out, or search with the mode keyword.")
            elif error.transient:
                retry_after = math.ceil(error.retry_after or 5)
                failure = UnavailableError(f"The embedding model is unavailable: {error}.", retry_after)
            else:
                failure = QueryRejectedError("The embedding model rejects this text. Shorten or rephrase it.")
        log.warning(EMBEDDER_FAILED, error=type(failure).__name__)
        raise failure


@contextmanager
def _search_part() -> Iterator[None]:
    try:
        with metrics.search_part("search"):
            yield
    except VectorIndexError as error:
        raise UnavailableError(str(error), error.retry_after) from error
