"""Routes of the index states: a look at one, and the worker's reports."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from mh_common.models import ConversationId, IndexReport, IndexReportAnswer, IndexState
from mh_common.web.problems import problem_responses

from conversations_api.dependencies import Readers, WriteSession
from conversations_api.index_states.service import IndexStateService

router = APIRouter(prefix="/api/v1", tags=["index"])

_STATE: Final = {
    "conversation_id": 17,
    "status": "indexed",
    "version": 2,
    "indexed_version": 2,
    "reason": None,
    "attempts": 1,
    "queued_at": "2026-03-02T09:15:00.120000Z",
    "indexed_at": "2026-03-02T09:15:00.480000Z",
    "lag_seconds": 0.36,
}
_REPORT: Final = {
    "outcomes": [
        {"conversation_id": 17, "version": 2, "status": "indexed"},
        {"conversation_id": 18, "version": 1, "status": "failed", "reason": "The embedder refused the text."},
        {"conversation_id": 19, "version": 4, "status": "indexed"},
    ]
}
_ANSWER: Final = {
    "versions": [
        {"conversation_id": 17, "version": 2},
        {"conversation_id": 18, "version": 1},
        {"conversation_id": 19, "version": None},
    ]
}


def _answers(example: dict[str, Any], *problems: int) -> dict[int | str, dict[str, Any]]:
    success = {"content": {"application/json": {"example": example}}}
    # Without a default FastAPI would add a 422 in a form of its own, also where there is no body.
    return {200: success, **problem_responses(*problems), "default": problem_responses(500)[500]}


@router.get("/conversations/{conversation_id}/index-state", responses=_answers(_STATE, 400, 404, 503))
async def get_index_state(conversation_id: ConversationId, readers: Readers) -> IndexState:
    """Say whether search finds the conversation's present version, and if not, since when and why."""
    async with readers() as reader:
        return await IndexStateService(reader).get(conversation_id)


@router.post("/index/reports", responses=_answers(_ANSWER, 400, 422, 503))
async def report_index(
    report: Annotated[IndexReport, Body(openapi_examples={"a job of three": {"value": _REPORT}})],
    session: WriteSession,
) -> IndexReportAnswer:
    """Take the indexer's report on one job and answer with the present versions.

    Safe to send twice, late or out of order: what is known better already stays. Of several outcomes for one
    conversation the last counts. A version in the answer that differs from the reported one means that the conversation
    changed meanwhile: index it again. A null means that it was deleted: delete it from the index.
    """
    return await IndexStateService(session).report(report)
