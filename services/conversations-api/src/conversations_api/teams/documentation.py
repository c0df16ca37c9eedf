"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import answers, problems

_TEAM: Final = {"id": 4, "name": "Crisis line", "created_at": "2026-03-02T09:15:00.120000Z", "version": 1}
_MEMBER: Final = {"user_id": 7, "username": "ann", "display_name": "Ann Example", "lead": True}

NEW: Final = {"team": {"summary": "A team", "value": {"name": "Crisis line"}}}
CHANGE: Final = {"rename": {"summary": "Another name", "value": {"name": "Crisis line, nights"}}}
PUT: Final = {"lead": {"summary": "Who may change the team", "value": {"lead": True}}}

LISTED: Final = answers({"items": [_TEAM], "next_cursor": None}, 400, 401, 403, 409)
ADDED: Final = answers(_TEAM, 400, 401, 403, 409, 422, status=201)
READ: Final = answers(_TEAM, 400, 401, 403, 404, 409)
CHANGED: Final = answers(_TEAM, 400, 401, 403, 404, 409, 422)
DELETED: Final = problems(400, 401, 403, 404, 409)
MEMBERS_LISTED: Final = answers({"items": [_MEMBER], "next_cursor": None}, 400, 401, 404, 409)
MEMBER_PUT: Final = answers(_MEMBER, 400, 401, 403, 404, 409, 422)
MEMBER_DELETED: Final = problems(400, 401, 403, 404, 409)
