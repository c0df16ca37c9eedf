"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import answers, problems

_IDENTITY: Final = {
    "id": 3,
    "issuer": "https://login.example.org/realms/practice",
    "subject": "user_2abcDEF",
    "email": "ann@example.org",
    "email_verified": True,
    "linked_at": "2026-03-02T09:15:00.120000Z",
}

NEW: Final = {"identity": {"summary": "At the platform's provider", "value": {"subject": "user_2abcDEF"}}}

LISTED: Final = answers({"items": [_IDENTITY], "next_cursor": None}, 400, 401, 403, 404, 409)
ADDED: Final = answers(_IDENTITY, 400, 401, 403, 404, 409, 422, status=201)
DELETED: Final = problems(400, 401, 403, 404, 409)
