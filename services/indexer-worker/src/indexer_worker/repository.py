"""The vector index as the service sees it: rows in, ids out. `MilvusRepository` is the real one."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from mh_common import vector_index as fields
from mh_common.models import Conversation
from mh_common.words import indexed_words
from pymilvus import AsyncMilvusClient, MilvusException
from pymilvus.client import entity_helper

from indexer_worker import metrics
from indexer_worker.collection import check_collection, ensure_collection
from indexer_worker.errors import IndexMismatchError, RowsRefusedError, VectorStoreError

WRITE_ATTEMPTS: Final = 5
"""How often a write is done again because another worker wrote the same rows in the same moment."""

GRPC_OPTIONS: Final = {"grpc.use_local_subchannel_pool": 1, "grpc.max_reconnect_backoff_ms": 1000}
"""A Milvus that is back is found by the next call, instead of after a pause that grew while it was away."""

INVALID_PARAMETER: Final = 1100
"""Milvus's code for data that does not fit the collection."""
UNCLEAR: Final = frozenset({2000, 65535})
"""Codes that Milvus gives for bad data and for troubles of its own alike. Milvus Lite has hardly any other."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


Row = dict[str, Any]


class VectorRepository(Protocol):
    """Holds one row for each conversation."""

    async def prepare(self) -> None:
        """Return when rows can be written; `upsert` and `delete` look for themselves.

        Raises:
            VectorStoreError: the index cannot be used now.
            IndexMismatchError: the collection is not the configured one.
        """
        ...

    async def upsert(self, rows: Sequence[Row]) -> None:
        """Write these rows (from `vector_row`, no id twice) in the place of those with the same ids.

        Raises:
            RowsRefusedError: one of the rows can be the cause.
            VectorStoreError: some of the rows may be written all the same.
            IndexMismatchError: the collection is not the configured one.
        """
        ...

    async def delete(self, ids: Sequence[int]) -> None:
        """Remove the rows with these ids; absent ones are passed over. Raises as `upsert`."""
        ...


def vector_row(conversation: Conversation, question: Sequence[float], text: Sequence[float]) -> Row:
    """Return a conversation's row from the unit vectors of its question and of its `embedded_text`."""
    return {
        fields.ID: conversation.id,
        fields.EMBEDDING: list(question),
        fields.TEXT_EMBEDDING: list(text),
        fields.QUESTION: fields.cut_to_bytes(conversation.question),
        fields.TEXT: fields.cut_to_bytes(fields.embedded_text(conversation.question, conversation.answer)),
        fields.WORDS: fields.cut_to_bytes(_words(conversation)),
        fields.QUESTION_SENTIMENT: conversation.question_sentiment.value,
        fields.ANSWER_SENTIMENT: conversation.answer_sentiment.value,
        fields.QUESTION_HASH: fields.question_hash(conversation.question),
        fields.VERSION: conversation.version,
        fields.CREATED_AT: _microseconds(conversation.created_at),
        fields.UPDATED_AT: _microseconds(conversation.updated_at),
    }


def _words(conversation: Conversation) -> str:
    # Cut before as well: a text of a million characters costs no more than its part that the field holds.
    longest = fields.MAX_VARCHAR_BYTES
    return indexed_words(conversation.question[:longest], conversation.answer[:longest])


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


class MilvusRepository:
    """The `VectorRepository` in Milvus or Milvus Lite. Belongs to the event loop that first uses it.

    The collection is made at the first use, and again should it vanish later.

    Args:
        client: made with `make_client`; closed by who made it.
        model, dimension: the embedding space of the vectors.
        timeout: seconds until a call is given up.
        collection: another one than that which readers search, while it is being filled.
    """

    def __init__(
        self,
        client: AsyncMilvusClient,
        *,
        model: str,
        dimension: int,
        timeout: float,
        collection: str = fields.COLLECTION,
    ) -> None:
        self._client = client
        self._model = model
        self._dimension = dimension
        self._timeout = timeout
        self._collection = collection
        self._prepared = False

    async def prepare(self) -> None:
        """See `VectorRepository.prepare`."""
        async with self._calls():
            # Looked at before each write: it may have been replaced since the last one.
            look = check_collection if self._prepared else ensure_collection
            await look(self._client, self._model, self._dimension, self._collection)
        self._prepared = True

    async def upsert(self, rows: Sequence[Row]) -> None:
        """See `VectorRepository.upsert`."""
        ids = [row[fields.ID] for row in rows]
        await self.prepare()
        vectors = (row[field] for row in rows for field in (fields.EMBEDDING, fields.TEXT_EMBEDDING))
        if any(len(vector) != self._dimension for vector in vectors):
            # Milvus Lite would take it.
            raise RowsRefusedError(f"The vector's length is not {self._dimension}", permanent=True)
        async with self._calls():
            with metrics.milvus_write("upsert", len(rows)):
                await self._write(rows, ids)

    async def _write(self, rows: Sequence[Row], ids: Sequence[int]) -> None:
        stored = await self._copies(ids)
        for attempt in range(WRITE_ATTEMPTS):
            # An upsert deletes first, for which Milvus Lite looks through all that it holds. Whoever finds nothing to
            # delete and is not alone with that sees it afterwards.
            write = self._client.upsert if stored else self._client.insert
            await write(self._collection, list(rows))
            stored = await self._copies(ids)
            if stored == len(ids):
                return
            await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - keeps two workers apart
        raise VectorStoreError("Other workers kept writing the same rows")

    async def delete(self, ids: Sequence[int]) -> None:
        """See `VectorRepository.delete`."""
        await self.prepare()
        async with self._calls():
            with metrics.milvus_write("delete", len(ids)):
                await self._client.delete(self._collection, ids=list(ids))

    async def _copies(self, ids: Sequence[int]) -> int:
        """Count the stored rows with these ids.

        An upsert is a delete and an insert. Milvus Lite does not keep two of them apart: both can delete first and then
        both insert, and search goes on to find the older copy. Whoever inserts last sees both here, and writes again;
        so do those who inserted because there was nothing.
        """
        rows = await self._client.query(
            self._collection,
            filter=f"{fields.ID} in [{', '.join(f'{key:d}' for key in ids)}]",
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(rows[0]["count(*)"])

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[None]:
        """As `milvus_calls`; what was known of the collection is asked anew after a failure."""
        try:
            async with milvus_calls(self._timeout):
                yield
        except VectorStoreError:
            self._prepared = False
            raise


@asynccontextmanager
async def milvus_calls(seconds: float) -> AsyncIterator[None]:
    """Bound the calls of a block in time, and turn whatever goes wrong in them into `VectorStoreError`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except IndexMismatchError:
        raise
    except Exception as error:  # pymilvus lets errors of gRPC and of its own through as they come
        raise vector_store_error(error) from error


def vector_store_error(error: Exception) -> VectorStoreError:
    """Return what an error of pymilvus means, without its message, which could repeat what a row holds."""
    code = error.code if isinstance(error, MilvusException) else None
    if code == INVALID_PARAMETER or code in UNCLEAR:
        return RowsRefusedError(f"Milvus refused the row (code {code})", permanent=code == INVALID_PARAMETER)
    reason = "did not answer in time" if isinstance(error, TimeoutError) else "cannot be used now"
    return VectorStoreError(f"Milvus {reason} ({type(error).__name__}{'' if code is None else f', code {code}'})")


def make_client(uri: str, token: str, timeout: float) -> AsyncMilvusClient:
    """Return a client that connects at its first call, so that it can be made while Milvus is down."""
    # pymilvus 3.0 looks at the length of each character of a text, which takes half of the time of packing a row.
    # Texts are cut to what their fields hold before.
    entity_helper.CHECK_STR_ARRAY = False
    # It logs each failed call with its whole trace, on a handler of its own; ours says it in one line.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return AsyncMilvusClient(uri, token=token, timeout=timeout, dedicated=True, grpc_options=GRPC_OPTIONS)
