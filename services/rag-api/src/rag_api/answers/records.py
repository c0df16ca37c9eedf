"""Recording of complete answers in the background, so that a failing recorder affects no answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from mh_client import AsyncClient
from mh_common.models import AnswerLatency, HistoryEntryCreate, HistoryHit, Risk, Usage, Withheld
from mh_common.web.access import CREDENTIAL

from rag_api.api_calls import record_answer

log = structlog.get_logger(__name__)

RECORD_DROPPED: Final = "answer_record_dropped"
RECORD_FAILED: Final = "answer_record_failed"

MAX_QUEUED: Final = 256
"""Maximum length of the queue; each record includes the answer's text, some kilobytes."""

TIME_LIMIT: Final = 10.0
"""Timeout in seconds for one record and, at shutdown, for all queued records together."""


@dataclass(frozen=True)
class RecordedHit:
    """A conversation that was found: its id, version and score."""

    id: int
    version: int
    score: float


@dataclass(frozen=True)
class AnswerRecord:
    """A complete answer.

    `user` is the person for whom the caller acts, and in whose history it belongs; None: in the caller's own. `filters`
    are the options of the search.
    """

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
    risk: Risk
    withheld: Withheld | None


class AnswerRecorder(Protocol):
    """Stores answers."""

    async def record(self, record: AnswerRecord) -> None:
        """Store one answer. If it raises, the type of the error is logged and the record is lost."""
        ...


class HistoryRecorder:
    """Stores answers in the query history of the conversations API; storing the same answer again has no effect."""

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
            # Neither the words nor where they stand.
            risk_level=record.risk.level if record.risk.screened else None,
            risk_categories=record.risk.categories,
            withheld=record.withheld,
        )
        await self._conversations.send(record_answer(entry))


class RecordQueue:
    """Passes records to a recorder one by one, in the background, each with the credential of the request it is from.

    When the queue is full because the recorder is too slow, new records are dropped and logged.
    """

    def __init__(self, recorder: AnswerRecorder) -> None:
        self._recorder = recorder
        self._waiting: asyncio.Queue[tuple[AnswerRecord, str | None]] = asyncio.Queue(MAX_QUEUED)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver records during the block; afterwards wait up to TIME_LIMIT for the queue to drain."""
        task = asyncio.create_task(self._deliver())
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
        """Queue a record. Returns immediately."""
        try:
            self._waiting.put_nowait((record, CREDENTIAL.get()))
        except asyncio.QueueFull:
            log.warning(RECORD_DROPPED, count=1)

    async def _deliver(self) -> None:
        while True:
            record, credential = await self._waiting.get()
            # This task has a context of its own, in which no request is answered.
            CREDENTIAL.set(credential)
            try:
                async with asyncio.timeout(TIME_LIMIT):
                    await self._recorder.record(record)
            except Exception as error:  # whatever a recorder raises, go on with the next record
                log.warning(RECORD_FAILED, error=type(error).__name__)
            finally:
                self._waiting.task_done()
