"""POST /api/v1/answers/{answer_id}/feedback."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Path
from mh_common.auth.roles import Scope
from mh_common.models import Feedback, FeedbackCreate, RequestUuid
from mh_common.web.access import GuardedRoute, requires
from mh_common.web.problems import problem_responses

from rag_api.dependencies import CurrentCaller, State

router = APIRouter(
    route_class=GuardedRoute, prefix="/api/v1/answers", tags=["answers"], dependencies=[requires(Scope.ANSWERS)]
)

_NEW: Final[dict[str, Any]] = {"rating": "up", "comment": "Just what I needed."}
_EXAMPLE: Final = {**_NEW, "risk_notice": None, "at": "2026-03-02T09:21:00.480000Z"}
_EXAMPLES: Final[dict[str, Any]] = {
    "up": {"summary": "It helped", "value": _NEW},
    "risk_notice": {"summary": "The notice of risk was not relevant", "value": {"risk_notice": "not_relevant"}},
}

AnswerId = Annotated[RequestUuid, Path(description="The answer's id.")]


@router.post(
    "/{answer_id}/feedback",
    summary="Rate an answer or its notice of risk",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 401, 403, 404, 409, 422, 503),
    },
)
async def give_feedback(
    answer_id: AnswerId,
    content: Annotated[FeedbackCreate, Body(openapi_examples=_EXAMPLES)],
    state: State,
    caller: CurrentCaller,
) -> Feedback:
    """Store feedback on an answer, on its notice of risk, or on both, replacing earlier feedback of the same kind.

    404 if the history does not contain the answer, or if it belongs to another user. 409 if the history is disabled.
    """
    return await state.feedback.set(answer_id, content, caller.acts_for())
