"""POST /api/v1/answers/{answer_id}/feedback."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path
from mh_common.models import USER_ID_HEADER, USER_ID_PATTERN, Feedback, FeedbackCreate
from mh_common.web.problems import problem_responses

from rag_api.dependencies import State

router = APIRouter(prefix="/api/v1/answers", tags=["answers"])

_NEW: Final[dict[str, Any]] = {"rating": "up", "comment": "Just what I needed."}
_EXAMPLE: Final = {**_NEW, "at": "2026-03-02T09:21:00.480000Z"}

AnswerId = Annotated[UUID, Path(description="The answer's id.")]
# Believed: log-in is the business of what stands before the platform, which sets the header whatever the client sent.
User = Annotated[
    str | None,
    Header(alias=USER_ID_HEADER, pattern=USER_ID_PATTERN, description="The user, as the gateway's log-in has it."),
]


@router.post(
    "/{answer_id}/feedback",
    summary="Say whether an answer helped",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 404, 409, 422, 503),
    },
)
async def give_feedback(
    answer_id: AnswerId,
    content: Annotated[FeedbackCreate, Body(openapi_examples={"up": {"summary": "It helped", "value": _NEW}})],
    state: State,
    user_id: User = None,
) -> Feedback:
    """Keep feedback on an answer; what was said before is replaced.

    404 where the history does not hold the answer, or holds it for another user. 409 while the history is turned off.
    """
    return await state.feedback.set(answer_id, content, user_id)
