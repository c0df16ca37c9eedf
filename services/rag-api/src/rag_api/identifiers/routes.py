"""POST /api/v1/identifiers/preview."""

from typing import Any, Final

from fastapi import APIRouter
from mh_common.auth.roles import Scope
from mh_common.models import IdentifiersPreview, IdentifiersPreviewRequest
from mh_common.web.access import GuardedRoute, requires
from mh_common.web.problems import problem_responses

from rag_api.dependencies import State

router = APIRouter(
    route_class=GuardedRoute, prefix="/api/v1/identifiers", tags=["identifiers"], dependencies=[requires(Scope.ANSWERS)]
)

_EXAMPLE: Final[dict[str, Any]] = {
    "text": "Mrs. [PERSON_1] of [PLACE_1] sleeps badly since [DATE_1].",
    "identifiers": [
        {"start": 5, "end": 11, "kind": "person"},
        {"start": 15, "end": 27, "kind": "place"},
        {"start": 47, "end": 52, "kind": "date"},
    ],
    "phi_mode": "pseudonymise",
    "notice": "Only what was recognised is hidden. …",
}


@router.post(
    "/preview",
    summary="Show what would be hidden of a text",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 401, 403, 422, 503),
    },
)
async def preview(body: IdentifiersPreviewRequest, state: State) -> IdentifiersPreview:
    """Return the text with pseudonyms for the identifiers that are recognised, as a language model would get it.

    Nothing is sent or stored. This is not de-identification: what is not recognised stays in the text. The same person
    has the same pseudonym throughout one text; for a question, throughout the question, its history and the
    conversations that were found.
    """
    return await state.identifiers.preview(body.text)
