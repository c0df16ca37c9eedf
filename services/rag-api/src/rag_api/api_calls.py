"""What rag-api tells the conversations API besides its public routes: answers and the feedback on them."""

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


def remember(entry: HistoryEntryCreate) -> Call[HistoryEntry]:
    """Remember an answer. The same `answer_id` with the same content is stored once."""
    return Call(
        method="POST",
        path=INTERNAL_HISTORY,
        content=entry.model_dump_json().encode(),
        parse=HistoryEntry.model_validate_json,
    )


def rate(answer_id: UUID, feedback: FeedbackCreate, user_id: str | None) -> Call[Feedback]:
    """Say whether an answer helped, in the place of what was said before."""
    return Call(
        method="PUT",
        path=f"{INTERNAL_HISTORY}/{answer_id}/feedback",
        content=feedback.model_dump_json().encode(),
        headers={} if user_id is None else {USER_ID_HEADER: user_id},
        parse=Feedback.model_validate_json,
    )
