"""Fills a platform with many conversations in the shortest time: straight into its stores, as if all were indexed.

How the platform does that itself is measured by other sections; here it only has to be there.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from bench.free import DIMENSION
from indexer_worker.collection import ensure_collection
from indexer_worker.repository import vector_row
from mh_client import Conversation, ConversationCreate, IndexStatus
from mh_common import vector_index as fields
from pymilvus import AsyncMilvusClient
from server_stack import ServerStack

BATCH: Final = 1000
_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SQL_AT: Final = _AT.strftime("%Y-%m-%d %H:%M:%S")
_INSERT: Final = (
    "INSERT INTO mental_health_conversations "
    "(id, version, created_at, updated_at, question, answer, question_sentiment, answer_sentiment) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
)

Vectors = npt.NDArray[np.float32]


def unit_vectors(first: int, count: int) -> Vectors:
    """Return vectors of unit length that mean nothing, the same for the same `first`: an array (count, 384)."""
    found = np.random.default_rng(first).standard_normal((count, DIMENSION), np.float32)
    unit: Vectors = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


class Filler:
    """Gives a platform conversations with the ids from 1 on: those of the data set over and over.

    No question is there twice. `model` is the embedding space that the collection claims.
    """

    def __init__(self, stack: ServerStack, rows: Sequence[ConversationCreate], model: str) -> None:
        self._stack = stack
        self._model = model
        self._bases = [
            Conversation(
                id=1,
                version=1,
                created_at=_AT,
                updated_at=_AT,
                index_status=IndexStatus.INDEXED,
                **row.model_dump(),
            )
            for row in rows
        ]
        # What costs most, once for each conversation of the data set.
        self._rows = [vector_row(base, (), ()) for base in self._bases]
        self.filled = 0

    async def fill(self, count: int) -> None:
        """Return when there are `count` conversations."""
        client = AsyncMilvusClient(self._stack.milvus_uri)
        try:
            await ensure_collection(client, self._model, DIMENSION)
            for first in range(self.filled, count, BATCH):
                numbers = range(first, min(first + BATCH, count))
                rows = list(self._vector_rows(numbers))
                await asyncio.gather(asyncio.to_thread(self._store, numbers), client.insert(fields.COLLECTION, rows))
        finally:
            await client.close()
        self.filled = count

    def question(self, number: int) -> str:
        """Return the question of one of the conversations, counted from 0."""
        return f"{self._bases[number % len(self._bases)].question} ({number})"

    def _store(self, numbers: range) -> None:
        values = []
        for number in numbers:
            base = self._bases[number % len(self._bases)]
            content = (base.answer, base.question_sentiment.value, base.answer_sentiment.value)
            values.append((number + 1, 1, _SQL_AT, _SQL_AT, self.question(number), *content))
        with self._stack.connect_to_mysql(self._stack.database) as connection, connection.cursor() as cursor:
            cursor.executemany(_INSERT, values)
            cursor.execute(
                "INSERT INTO index_states (conversation_id, status, indexed_version, attempts, queued_at, indexed_at) "
                "SELECT id, %s, version, 0, created_at, created_at FROM mental_health_conversations "
                "WHERE id BETWEEN %s AND %s",
                (IndexStatus.INDEXED.value, numbers[0] + 1, numbers[-1] + 1),
            )
            connection.commit()

    def _vector_rows(self, numbers: range) -> Iterator[dict[str, Any]]:
        vectors = unit_vectors(numbers[0], 2 * len(numbers))
        for place, number in enumerate(numbers):
            question = self.question(number)
            base = self._rows[number % len(self._rows)]
            answer = self._bases[number % len(self._bases)].answer
            yield {
                **base,
                fields.ID: number + 1,
                fields.QUESTION: fields.cut_to_bytes(question),
                fields.TEXT: fields.cut_to_bytes(fields.embedded_text(question, answer)),
                fields.QUESTION_HASH: fields.question_hash(question),
                fields.EMBEDDING: vectors[2 * place],
                fields.TEXT_EMBEDDING: vectors[2 * place + 1],
            }
