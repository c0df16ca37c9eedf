"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import answers, problems

_KEY: Final = {
    "id": 12,
    "name": "Dify",
    "shown": "mh_key_Ab3d…",
    "user_id": 7,
    "username": "ann",
    "scopes": ["conversations:read", "search"],
    "created_at": "2026-03-02T09:15:00.120000Z",
    "created_by": 1,
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
}

NEW: Final = {
    "search": {"summary": "For searching", "value": {"name": "Dify", "scopes": ["conversations:read", "search"]}}
}

MADE: Final = answers({"api_key": _KEY, "token": "mh_key_…"}, 400, 401, 403, 404, 409, 422, status=201)
LISTED: Final = answers({"items": [_KEY], "next_cursor": None}, 400, 401, 404, 409)
ENDED: Final = problems(400, 401, 403, 404, 409)
