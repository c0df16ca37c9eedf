"""The query history of the conversations API as an `AnswerRecorder`."""

from mh_client import AsyncClient
from mh_common.models import HistoryEntryCreate, HistoryHit

from rag_api.answers.records import AnswerRecord


class HistoryRecorder:
    """Tells the conversations API of each answer. It stores one once, however often it is told."""

    def __init__(self, conversations: AsyncClient) -> None:
        self._conversations = conversations

    async def record(self, record: AnswerRecord) -> None:
        """See `AnswerRecorder.record`. Raises MHError."""
        standalone = record.standalone_query if record.standalone_query != record.question else None
        await self._conversations.history.add(
            HistoryEntryCreate(
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
        )
