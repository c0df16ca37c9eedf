"""OpenAPI documentation of the routes beyond their types: examples, headers, possible problems."""

from typing import Final

from mh_common.fields import FoundAdvice, ReviewState
from mh_common.models import BulkCreated
from mh_common.web.documentation import Responses, answers, problems

from conversations_api.conversations.export import MEDIA_TYPES

CONVERSATION: Final = {
    "id": 17,
    "version": 1,
    "created_at": "2026-03-01T09:30:00.123456Z",
    "updated_at": "2026-03-01T09:30:00.123456Z",
    "question": "I lie awake for hours worrying about work. How do I switch off?",
    "answer": "Try a fixed hour to write the worries down, well before bed.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
    "index_status": "pending",
    "source_url": "https://example.org/questions/42",
    "source_date": "2021-01-01",
    "category": "sleep",
    "author": "Jane Doe",
    "import_tag": "clinic-2026",
    "risk_level": None,
    "unsafe_advice": None,
    "origin": "import",
    "review_state": "unreviewed",
    "created_by": 4,
    "updated_by": 4,
    "reviewed_by": None,
    "reviewed_at": None,
}
_CONTENT: Final = {
    name: CONVERSATION[name]
    for name in (
        *("question", "answer", "question_sentiment", "answer_sentiment"),
        *("source_url", "source_date", "category", "author"),
    )
}
_SENTIMENT_COUNTS: Final = {"positive": 0, "negative": 1, "neutral": 0}
PAGE: Final = {"items": [CONVERSATION], "next_cursor": "eyJpZCI6MTcsImRpZ2VzdCI6Ii4uLiJ9"}
STATS: Final = {
    "total": 1,
    "question_sentiment": _SENTIMENT_COUNTS,
    "answer_sentiment": {"positive": 0, "negative": 0, "neutral": 1},
    "pairs": [{"question_sentiment": "negative", "answer_sentiment": "neutral", "count": 1}],
    "per_month": [{"month": "2026-03", "count": 1}],
    "index_status": {"pending": 1, "indexed": 0, "failed": 0},
    "risk_level": {"none": 0, "low": 0, "elevated": 0, "acute": 0},
    "unsafe_advice": dict.fromkeys(FoundAdvice, 0),
    "review_state": {**dict.fromkeys(ReviewState, 0), ReviewState.UNREVIEWED: 1},
}

NEW: Final = {"conversation": {"summary": "A question and its answer", "value": _CONTENT}}
NEW_ROWS: Final = {
    "two": {"summary": "Two conversations", "value": {"items": [_CONTENT, _CONTENT]}},
    "import": {
        "summary": "A part of an import",
        "value": {"items": [_CONTENT, _CONTENT], "on_duplicate": "skip", "import_tag": "clinic-2026"},
    },
}
CHANGE: Final = {"sentiment": {"summary": "Change one field", "value": {"question_sentiment": "neutral"}}}
IDS: Final = {"two": {"summary": "Two conversations", "value": {"ids": [17, 18]}}}
REVIEW: Final = {"approve": {"summary": "Approve it", "value": {"review_state": "approved"}}}
REVIEWS: Final = {"two": {"summary": "Two conversations", "value": {"ids": [17, 18], "review_state": "approved"}}}
TAG: Final = {"import": {"summary": "An import", "value": {"import_tag": "clinic-2026"}}}

_ETAG: Final = {
    "ETag": {
        "description": "Version, index status, risk level, unsafe advice and review, for If-Match and If-None-Match.",
        "schema": {"type": "string"},
    }
}
_LOCATION: Final = {"Location": {"description": "Path of the new conversation.", "schema": {"type": "string"}}}
_REPLAYED: Final = {
    "Idempotent-Replayed": {
        "description": "`true` if the request had been processed before and its response is repeated.",
        "schema": {"type": "string"},
    }
}

CREATED: Final = answers(CONVERSATION, 400, 409, 422, status=201, headers={**_ETAG, **_LOCATION, **_REPLAYED})
READ: Final[Responses] = {
    **answers(CONVERSATION, 400, 404, headers=_ETAG),
    304: {"description": "The client has this representation already.", "headers": _ETAG},
}
CHANGED: Final = answers(CONVERSATION, 400, 404, 412, 422, headers=_ETAG)
DELETED: Final = problems(400, 404, 412)
LISTED: Final = answers(PAGE, 400)
COUNTED: Final = answers(STATS)
BULK_CREATED: Final[Responses] = {
    **answers({"ids": [17, 18], "outcomes": ["added", "skipped"]}, 400, 409, 422, status=201, headers=_REPLAYED),
    200: {
        "description": "The answer to a dry run.",
        "model": BulkCreated,
        "content": {"application/json": {"example": {"ids": [], "outcomes": ["added", "skipped"]}}},
    },
}
BULK_DELETED: Final = answers({"deleted": 2}, 400, 409, 422, headers=_REPLAYED)
BULK_REVIEWED: Final = answers({"found": 2, "changed": 1}, 400, 422)
_VERSION: Final = {**_CONTENT, "version": 1, "changed_at": CONVERSATION["updated_at"], "changed_by": 4}
VERSIONS: Final = answers({"items": [_VERSION], "next_cursor": None}, 400, 404)
VERSION: Final = answers(_VERSION, 400, 404)
RESTORED: Final = answers({**CONVERSATION, "version": 3}, 400, 404, 412, headers=_ETAG)
UNDONE: Final = answers(
    {"deleted": 900, "remaining": 0, "edited": 1, "edited_ids": [17], "updated": 0, "updated_ids": []},
    *(400, 404, 409, 422),
)
EXPORTED: Final[Responses] = {
    200: {"content": {media.partition(";")[0]: {"schema": {"type": "string"}} for media in MEDIA_TYPES.values()}},
    **problems(400),
}
