"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import answers

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
    "screened_by": "lexicon-1+advice-1",
}
_FAILED: Final = {
    **_STATE,
    "status": "failed",
    "indexed_version": 1,
    "reason": "The embedder refused the text.",
    "lag_seconds": 61.2,
}
_PENDING: Final = {**_STATE, "status": "pending", "attempts": 0, "lag_seconds": 0.0}
_SUMMARY: Final = {
    "total": 3512,
    "pending": 2,
    "indexed": 3509,
    "failed": 1,
    "oldest_pending_at": "2026-03-02T09:15:00.120000Z",
    "lag_seconds": 0.84,
    "outbox_depth": 0,
    "oldest_outbox_at": None,
    "failures": [{"reason": "The embedder refused the text.", "count": 1}],
}
IDS: Final = {"two": {"summary": "Two conversations", "value": {"ids": [17, 18]}}}

STATE: Final = answers(_STATE, 400, 404)
SUMMARY: Final = answers(_SUMMARY)
FAILURES: Final = answers({"items": [_FAILED], "next_cursor": "17"}, 400)
REINDEXED: Final = answers(_PENDING, 400, 404, status=202)
QUEUED: Final = answers({"queued": 2}, 400, 422, status=202)
RETRIED: Final = answers({"queued": 2}, status=202)
