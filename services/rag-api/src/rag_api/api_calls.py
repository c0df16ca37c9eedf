"""Calls of the conversations API's internal routes: store answers, and feedback on them, in the query history."""

from uuid import UUID

from mh_client import Call
from mh_common.models import (
    INTERNAL_HISTORY,
    USER_ID_HEADER,
    Feedback,
    FeedbackCreate,
    HistoryEntry,
    HistoryEntryCreate,
)


def record_answer(entry: HistoryEntryCreate) -> Call[HistoryEntry]:
    """Store an answer in the query history. Sending the same `answer_id` and content again has no effect."""
    return Call(
        method="POST",
        path=INTERNAL_HISTORY,
        content=entry.model_dump_json().encode(),
        parse=HistoryEntry.model_validate_json,
    )


def set_feedback(answer_id: UUID, feedback: FeedbackCreate, user_id: str | None) -> Call[Feedback]:
    """Store feedback on an answer, replacing earlier feedback."""
    return Call(
        method="PUT",
        path=f"{INTERNAL_HISTORY}/{answer_id}/feedback",
        content=feedback.model_dump_json(exclude_none=True).encode(),
        headers={} if user_id is None else {USER_ID_HEADER: user_id},
        parse=Feedback.model_validate_json,
    )
