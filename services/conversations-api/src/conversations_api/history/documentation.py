"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import Responses, answers, problems

_NEW: Final = {
    "answer_id": "0190f3c2-7d0e-7c4e-9b1a-2f4f6a1b8c11",
    "user_id": "counselor-7",
    "question": "How do I help a patient who panics on the bus?",
    "standalone_query": None,
    "filters": {"question_sentiment": ["negative"]},
    "hits": [{"id": 17, "version": 1, "score": 0.781204}],
    "answer": "Practise slow breathing at home first, then on short rides [1].",
    "model": "gpt-4o-mini",
    "prompt_version": "answer-1",
    "usage": {"prompt_tokens": 612, "completion_tokens": 48, "total_tokens": 660},
    "latency_ms": 1840.2,
    "risk_level": "none",
    "risk_categories": [],
    "withheld": None,
}
_NEW_FEEDBACK: Final = {"rating": "up", "comment": "Just what I needed."}
_NOTICE_FEEDBACK: Final = {"risk_notice": "not_relevant"}
_FEEDBACK: Final = {**_NEW_FEEDBACK, "risk_notice": None, "at": "2026-03-02T09:21:00.480000Z"}
_ENTRY: Final = {**_NEW, "created_at": "2026-03-02T09:15:00.120000Z", "feedback": None}

NEW: Final = {"answer": {"summary": "An answer", "value": _NEW}}
NEW_FEEDBACK: Final = {
    "up": {"summary": "It helped", "value": _NEW_FEEDBACK},
    "risk_notice": {"summary": "The notice of risk was not relevant", "value": _NOTICE_FEEDBACK},
}

ADDED: Final[Responses] = {
    **answers(_ENTRY, 400, 404, 409, 422, status=201),
    200: {"description": "It had already been stored.", "content": {"application/json": {"example": _ENTRY}}},
}
LISTED: Final = answers({"items": [{**_ENTRY, "feedback": _FEEDBACK}], "next_cursor": "41"}, 400, 409)
READ: Final = answers({**_ENTRY, "feedback": _FEEDBACK}, 400, 404, 409)
RATED: Final = answers(_FEEDBACK, 400, 404, 409, 422)
DELETED: Final = problems(400, 404)
CLEARED: Final = answers({"deleted": 12}, 400)
