"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Final

from mh_common.auth.roles import SCOPES_OF, Role
from mh_common.web.documentation import answers, problems

USER: Final = {
    "id": 7,
    "username": "ann",
    "display_name": "Ann Example",
    "email": "ann@example.org",
    "role": "counselor",
    "kind": "person",
    "state": "active",
    "has_password": True,
    "created_at": "2026-03-02T09:15:00.120000Z",
    "updated_at": "2026-03-02T09:15:00.120000Z",
    "last_login_at": None,
    "version": 1,
}
_NEW: Final = {"username": "ann", "role": "counselor", "display_name": "Ann Example", "email": "ann@example.org"}
_ME: Final = {
    "id": 7,
    "username": "ann",
    "display_name": "Ann Example",
    "kind": "person",
    "role": "counselor",
    "scopes": sorted(SCOPES_OF[Role.COUNSELOR]),
    "credential": {"kind": "session", "id": 31},
    "teams": [{"id": 4, "name": "Crisis line", "lead": False}],
}

NEW: Final = {
    "person": {"summary": "A person", "value": {**_NEW, "password": "choose a long phrase"}},
    "service": {"summary": "A program", "value": {"username": "intranet", "role": "counselor", "kind": "service"}},
}
CHANGE: Final = {
    "role": {"summary": "Give another role", "value": {"role": "curator"}},
    "disable": {"summary": "Disable an account", "value": {"state": "disabled"}},
}
PASSWORD: Final = {
    "change": {
        "summary": "Change the password",
        "value": {"current_password": "choose a long phrase", "new_password": "choose a longer phrase"},
    }
}

LISTED: Final = answers({"items": [USER], "next_cursor": None}, 400, 401, 403, 409)
ADDED: Final = answers(USER, 400, 401, 403, 409, 422, status=201)
READ: Final = answers(USER, 400, 401, 403, 404, 409)
CHANGED: Final = answers(USER, 400, 401, 403, 404, 409, 422)
ME: Final = answers(_ME, 400, 401)
PASSWORD_CHANGED: Final = problems(400, 401, 403, 409, 422, 429)
ROLES: Final = answers([{"role": role, "scopes": sorted(scopes)} for role, scopes in SCOPES_OF.items()], 400, 401)
