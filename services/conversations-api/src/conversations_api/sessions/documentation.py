"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import answers, problems

_SESSION: Final = {
    "id": 31,
    "created_at": "2026-03-02T09:15:00.120000Z",
    "last_seen_at": "2026-03-02T09:15:00.120000Z",
    "expires_at": "2026-03-16T09:15:00.120000Z",
    "ip": "127.0.0.1",
    "user_agent": "Mozilla/5.0",
    "current": True,
}

NEW: Final = {
    "program": {"summary": "A program", "value": {"username": "ann", "password": "choose a long phrase"}},
    "browser": {
        "summary": "A browser",
        "value": {"username": "ann", "password": "choose a long phrase", "cookie": True},
    },
}

STARTED: Final = answers({"session": _SESSION, "token": "mh_ses_…"}, 400, 401, 403, 409, 422, 429, status=201)
LISTED: Final = answers({"items": [_SESSION]}, 400, 401, 404, 409)
ENDED: Final = problems(400, 401, 403, 404, 409)
