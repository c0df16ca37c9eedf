"""POST /api/v1/answers."""

from typing import Any, Final

from fastapi import APIRouter
from mh_common.models import Answer, AnswerRequest
from mh_common.web.problems import problem_responses

from rag_api.dependencies import Answers

router = APIRouter(prefix="/api/v1/answers", tags=["answers"])

_EXAMPLE: Final[dict[str, Any]] = {
    "answer": "Practise slow breathing at home first, then on short rides [1]. Plan the ride together [2].",
    "sources": [
        {
            "id": 17,
            "question": "I get panic attacks on the bus and now I walk everywhere. What can I do?",
            "answer": "Practise slow breathing at home, then on a ride of one stop. Add a stop each week.",
            "score": 0.781204,
        },
        {
            "id": 230,
            "question": "Crowded trains make my heart race.",
            "answer": "Plan a ride at a quiet hour with somebody you trust.",
            "score": 0.702115,
        },
    ],
    "model": "gpt-4o-mini",
    "usage": {"prompt_tokens": 612, "completion_tokens": 48, "total_tokens": 660},
    "index_rebuilding": False,
}


@router.post(
    "",
    summary="Ask how to help a patient",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problem_responses(400, 422, 502, 503, 504),
    },
)
async def answer(request: AnswerRequest, service: Answers) -> Answer:
    """Return a suggestion for the counselor, grounded in the `top_k` nearest conversations, which it cites as [1] [2].

    Without an API key for a language model the answer quotes sentences of the conversations (`model` is `extractive`).
    When nothing relevant is found the answer says so (`model` is `none`).
    With the language model down (502), too slow (504) or refusing (503), the problem still carries `sources`.
    """
    return await service.answer(request)
