"""What is told of answers that are complete, to whoever keeps them; never at the cost of an answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from mh_client import AsyncClient
from mh_common.models import AnswerLatency, HistoryEntryCreate, HistoryHit, Usage

from rag_api.api_calls import remember

log = structlog.get_logger(__name__)

RECORD_DROPPED: Final = "answer_record_dropped"
RECORD_FAILED: Final = "answer_record_failed"

MAX_WAITING: Final = 256
"""Most records that wait; each can hold an answer's text, some kilobytes."""

TIME_LIMIT: Final = 10.0
"""Seconds for one record, and at shutdown for all that still wait."""


@dataclass(frozen=True)
class RecordedHit:
    """A conversation that was found, in which version, and how near it is."""

    id: int
    version: int
    score: float


@dataclass(frozen=True)
class AnswerRecord:
    """An answer as it was given. `user` is the X-User-Id of the request; `filters` are those of the search."""

    answer_id: UUID
    user: str | None
    question: str
    standalone_query: str
    filters: Mapping[str, Any]
    hits: Sequence[RecordedHit]
    answer: str
    model: str
    prompt_version: str | None
    usage: Usage
    latency_ms: AnswerLatency
    created_at: datetime


class AnswerRecorder(Protocol):
    """Keeps answers."""

    async def record(self, record: AnswerRecord) -> None:
        """Keep one answer. An error is logged by its type, and the record is lost."""
        ...


class HistoryRecorder:
    """Keeps answers in the conversations API's query history, which stores one once, however often it is told."""

    def __init__(self, conversations: AsyncClient) -> None:
        self._conversations = conversations

    async def record(self, record: AnswerRecord) -> None:
        """See `AnswerRecorder.record`. Raises MHError."""
        standalone = record.standalone_query if record.standalone_query != record.question else None
        entry = HistoryEntryCreate(
            answer_id=record.answer_id,
            user_id=record.user,
            question=record.question,
            standalone_query=standalone,
            filters=dict(record.filters),
            hits=[HistoryHit(id=hit.id, version=hit.version, score=hit.score) for hit in record.hits],
            answer=record.answer,
            model=record.model,
            prompt_version=record.prompt_version,
            usage=record.usage,
            latency_ms=record.latency_ms.total,
        )
        await self._conversations.send(remember(entry))


class RecordQueue:
    """Hands records to a recorder, one after the other, in the background.

    A recorder that is slower than answers come loses the newest; the log counts them.
    """

    def __init__(self, recorder: AnswerRecorder) -> None:
        self._recorder = recorder
        self._waiting: asyncio.Queue[AnswerRecord] = asyncio.Queue(MAX_WAITING)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hand over while the block lasts; at its end wait for what still waits, but not for long."""
        task = asyncio.create_task(self._hand_over())
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(TIME_LIMIT):
                    await self._waiting.join()
            except TimeoutError:
                log.warning(RECORD_DROPPED, count=self._waiting.qsize())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def add(self, record: AnswerRecord) -> None:
        """Take a record. Returns at once."""
        try:
            self._waiting.put_nowait(record)
        except asyncio.QueueFull:
            log.warning(RECORD_DROPPED, count=1)

    async def _hand_over(self) -> None:
        while True:
            record = await self._waiting.get()
            try:
                async with asyncio.timeout(TIME_LIMIT):
                    await self._recorder.record(record)
            except Exception as error:  # whatever a recorder raises, the next record is handed over
                log.warning(RECORD_FAILED, error=type(error).__name__)
            finally:
                self._waiting.task_done()
