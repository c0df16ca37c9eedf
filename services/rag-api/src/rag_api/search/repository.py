"""The vector index: the conversations nearest to a vector. `MilvusIndex` is the real one."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from mh_common import vector_index as fields
from mh_common.models import Sentiment
from pymilvus import AsyncMilvusClient, MilvusException

log = structlog.get_logger(__name__)

VECTOR_INDEX_MISMATCH: Final = "vector_index_mismatch"
"""Logged once for each foreign collection that is met: its embedding space is not the configured one."""
VECTOR_INDEX_FAILED: Final = "vector_index_failed"

RECHECK_S: Final = 30.0
"""How long a collection is trusted to be the right one before it is looked at again."""

RECHECK_REBUILDING_S: Final = 2.0
"""The same while the index is being built anew in place."""

REPLACED: Final = frozenset({100, 101})
"""Milvus's codes for a collection that is not there, and for one that is not loaded."""

MAX_MATCHES: Final = 1000
"""Most matches of one search, far below Milvus's own limit of 16,384."""

# Milvus's own Python client shares failed connections and their growing pauses (up to 2 minutes) between attempts;
# with these a server that is back is found by the next call.
GRPC_OPTIONS: Final = {"grpc.use_local_subchannel_pool": 1, "grpc.max_reconnect_backoff_ms": 1000}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Filters:
    """What a conversation must be to match; None stands for anything. Bounds as in `SearchRequest`."""

    question_sentiment: Sequence[Sentiment] | None = None
    answer_sentiment: Sequence[Sentiment] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    ids: Sequence[int] | None = None


@dataclass(frozen=True)
class Match:
    """A conversation in the index: its id, the version that was embedded, its similarity from 0 to 1."""

    id: int
    version: int
    score: float


class VectorIndexError(Exception):
    """The index cannot be searched now. The message is made for users; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VectorIndex(Protocol):
    """Finds conversations by the vector of their question."""

    @property
    def rebuilding(self) -> bool:
        """Whether, by the last look, the index was being filled anew and may lack conversations."""
        ...

    async def search(self, vector: Sequence[float], limit: int, filters: Filters) -> list[Match]:
        """Return the matches nearest to a unit vector, best first, equal scores by id; an absent index has none.

        Fewer than `limit` (at most MAX_MATCHES) means that there are no more.

        Raises:
            VectorIndexError: the only error.
        """
        ...

    async def check(self) -> None:
        """Return when the index can be searched.

        Raises:
            VectorIndexError: the only error.
        """
        ...


class MilvusIndex:
    """The `VectorIndex` in Milvus. Belongs to the event loop that first uses it.

    Args:
        client: made with `make_client`; closed by who made it.
        model, dimension: the embedding space of the vectors given to `search`. A collection of another is refused.
        consistency: Milvus's consistency level for searches.
        timeout: seconds until a call is given up.
    """

    def __init__(
        self, client: AsyncMilvusClient, *, model: str, dimension: int, consistency: str, timeout: float
    ) -> None:
        self._client = client
        self._expected = fields.describe(model, dimension)
        self._consistency = consistency
        self._timeout = timeout
        self._trusted_until = 0.0
        self._reported: str | None = None
        self._rebuilding = False
        # Held while connecting: the client would connect once for each of the first requests.
        self._checking = asyncio.Lock()

    async def search(self, vector: Sequence[float], limit: int, filters: Filters) -> list[Match]:
        """See `VectorIndex.search`."""
        async with self._calls():
            try:
                return await self._found(vector, limit, filters)
            except MilvusException as error:
                if error.code not in REPLACED:
                    raise
            # It was dropped, and another one may be there by now.
            self._trusted_until = 0.0
            return await self._found(vector, limit, filters)

    async def _found(self, vector: Sequence[float], limit: int, filters: Filters) -> list[Match]:
        if not await self._is_there():
            return []
        answer = await self._client.search(
            fields.COLLECTION,
            data=[list(vector)],
            filter=expression(filters),
            limit=min(limit, MAX_MATCHES),
            anns_field=fields.EMBEDDING,
            output_fields=[fields.VERSION],
            consistency_level=self._consistency,
            retry_times=1,
        )
        matches = [_match(row) for row in answer[0]]
        return sorted(matches, key=lambda match: (-match.score, match.id))

    @property
    def rebuilding(self) -> bool:
        """See `VectorIndex.rebuilding`."""
        return self._rebuilding

    async def check(self) -> None:
        """See `VectorIndex.check`."""
        self._trusted_until = 0.0
        async with self._calls():
            await self._is_there()

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[None]:
        """Bound the calls in time, and turn whatever goes wrong into the one error."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except VectorIndexError:
            raise
        except Exception as error:  # pymilvus lets errors of gRPC and of its own through as they come
            self._trusted_until = 0.0
            log.warning(VECTOR_INDEX_FAILED, error=type(error).__name__, code=str(getattr(error, "code", None)))
            reason = "does not answer in time" if isinstance(error, TimeoutError) else "cannot be used now"
            raise VectorIndexError(f"The vector index (Milvus) {reason}.", retry_after=5) from error

    async def _is_there(self) -> bool:
        """Whether the collection exists; asks Milvus only when that is not known of late."""
        if time.monotonic() < self._trusted_until:
            return True
        async with self._checking:
            if time.monotonic() < self._trusted_until:
                return True
            self._rebuilding = await self._client.has_collection(fields.REBUILDING, retry_times=1)
            if not await self._client.has_collection(fields.COLLECTION, retry_times=1):
                return False
            found = await self._client.describe_collection(fields.COLLECTION, retry_times=1)
            self._refuse_foreign(str(found["description"]))
            self._trusted_until = time.monotonic() + (RECHECK_REBUILDING_S if self._rebuilding else RECHECK_S)
            return True

    def _refuse_foreign(self, description: str) -> None:
        if description == self._expected:
            self._reported = None
            return
        if description != self._reported:
            self._reported = description
            log.error(VECTOR_INDEX_MISMATCH, found=description, expected=self._expected)
        raise VectorIndexError(
            f"The vector index was made with '{description}', but this service is set to '{self._expected}'. "
            "Give this service and the indexer the same EMBEDDING settings, or build the index again.",
            retry_after=60,
        )


def make_client(uri: str, token: str, timeout: float) -> AsyncMilvusClient:
    """Return a client that connects at its first call, so that it can be made while Milvus is down."""
    return AsyncMilvusClient(uri, token=token, timeout=timeout, dedicated=True, grpc_options=GRPC_OPTIONS)


def expression(filters: Filters) -> str:
    """Return the filters in Milvus's language; empty for none. Only enum members, integers and times go into it."""
    conditions = (
        _any_sentiment(fields.QUESTION_SENTIMENT, filters.question_sentiment),
        _any_sentiment(fields.ANSWER_SENTIMENT, filters.answer_sentiment),
        _bound(fields.CREATED_AT, ">=", filters.created_after),
        _bound(fields.CREATED_AT, "<", filters.created_before),
        _bound(fields.UPDATED_AT, ">=", filters.updated_after),
        _bound(fields.UPDATED_AT, "<", filters.updated_before),
        _any_of(fields.ID, None if filters.ids is None else (f"{key:d}" for key in filters.ids)),
    )
    return " and ".join(condition for condition in conditions if condition)


def _any_sentiment(field: str, sentiments: Iterable[Sentiment] | None) -> str:
    return _any_of(field, None if sentiments is None else (f'"{Sentiment(one).value}"' for one in sentiments))


def _any_of(field: str, literals: Iterable[str] | None) -> str:
    return "" if literals is None else f"{field} in [{', '.join(literals)}]"


def _bound(field: str, operator: str, moment: datetime | None) -> str:
    return "" if moment is None else f"{field} {operator} {(moment - _EPOCH) // timedelta(microseconds=1):d}"


def _match(row: dict[str, Any]) -> Match:
    # float32 noise is rounded away, so that the same text has score 1 and equal questions have equal scores.
    score = round(min(1.0, max(0.0, row["distance"])), 6)
    return Match(id=row[fields.ID], version=row["entity"][fields.VERSION], score=score)
